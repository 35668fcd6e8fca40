"""`python -m cadre_guard`: the guard of one agent. `python -m cadre_guard analyzer`: a machine's analyzer."""

import sys


def run() -> int:
    """Start the one that is asked for, without loading the other."""
    if sys.argv[1:] == ["analyzer"]:
        from cadre_guard.analysis.server.main import main as analyzer

        return analyzer()
    from cadre_guard.main import main

    return main()


sys.exit(run())
