"""CEL without its command line, whose terminal packages are a tenth of the start of each program."""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cel import Context, Program, compile  # noqa: A004 - the library's name for it
else:
    _LINE = "cel.cli"

    def _library() -> ModuleType:
        spared = _LINE not in sys.modules and "cel" not in sys.modules
        if spared:
            sys.modules[_LINE] = ModuleType(_LINE)
        try:
            return importlib.import_module("cel")
        finally:
            if spared:
                del sys.modules[_LINE]

    _cel = _library()
    Context, Program, compile = _cel.Context, _cel.Program, _cel.compile  # noqa: A001

__all__ = ["Context", "Program", "compile"]
