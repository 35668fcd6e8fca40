"""What the operator loads at its start is what it uses."""

import subprocess
import sys

UNUSED = ("google.auth", "kubernetes.config", "prompt_toolkit", "requests", "typer")
PROGRAM = f"""
import sys
import cadre_operator.main
print(*(name for name in {UNUSED} if name in sys.modules))
import kubernetes
print(kubernetes.config.__name__, hasattr(kubernetes, "__nothing__"))
"""


def test_nothing_is_loaded_that_is_not_used() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    loaded, on_demand = done.stdout.splitlines()
    assert loaded == ""
    assert on_demand == "kubernetes.config False"
