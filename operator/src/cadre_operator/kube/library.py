"""Spares us the parts of the Kubernetes client that we do not use; they are half of the operator's start.

The package imports everything it holds: a second, synchronous client, and how other clouds log in.
"""

import importlib
import importlib.util
import sys

_NAME = "kubernetes"


def import_on_demand() -> None:
    """Have the package import only the modules that somebody asks for; has to run before any of them."""
    spec = importlib.util.find_spec(_NAME) if _NAME not in sys.modules else None
    if spec is None:
        return
    package = importlib.util.module_from_spec(spec)
    package.__getattr__ = _module  # type: ignore[method-assign]
    sys.modules[_NAME] = package


def _module(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    return importlib.import_module(f"{_NAME}.{name}")
