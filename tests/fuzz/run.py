"""`python -m tests.fuzz.run TARGET …`: one target under atheris, the rest is for libFuzzer."""

import importlib
import sys


def main() -> None:
    """Until libFuzzer's limits; ends with another code than 0 when an input breaks the target."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["cadre_detect", "cadre_guard"]):
        targets = importlib.import_module("tests.fuzz.targets")
    target = targets.TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
