"""Draws terminal output: `FORCE_COLOR=1 make demo | python -m tests.support.picture FILE.svg`."""

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

_COLUMNS = 132


def draw(output: str, title: str) -> str:
    """Return an SVG of the output, colours included."""
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(output), soft_wrap=False)
    # the picture must not depend on a font host
    return re.sub(r"@font-face \{.*?\}", "", console.export_svg(title=title), flags=re.DOTALL)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(sys.stdin.read(), "make demo"))
