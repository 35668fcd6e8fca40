"""Writes the committed API description: `python -m cadre_controller.apidocs DIR`. CI checks it is current."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from cadre_controller.openapi import document
from cadre_controller.routes import guard_tables, public_tables
from cadre_controller.routes.table import Table


def write(folder: Path) -> None:
    """One OpenAPI 3.1 document per port."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, title, tables in (
        ("public", "Cadre", public_tables()),
        ("guard", "Cadre guard port", guard_tables()),
    ):
        text = json.dumps(_document(tables, title), indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def _document(tables: Sequence[Table], title: str) -> dict[str, object]:
    return document([route for table in tables for route in table.routes], title)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
