"""The entry point, as light as can be: Ctrl-C ends it in one word from the first moment on."""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Console script of `cadre` and `kubectl-cadre`."""
    signal.signal(signal.SIGINT, _leave)
    from cadre_local.cli.program import run

    code = run(ready=_interruptible)
    signal.signal(signal.SIGINT, _leave)
    sys.exit(code)


def _interruptible() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(sys.stderr.fileno(), b"interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
