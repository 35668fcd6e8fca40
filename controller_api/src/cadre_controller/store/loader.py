"""SQL lives in .sql files; this finds each named block, so that code says *what* it asks and SQL says how."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def load_queries() -> Mapping[str, str]:
    """Name -> SQL of every block `-- name: x`, in the order of file names and of blocks within a file.

    Raises ValueError when two blocks share a name.
    """
    queries: dict[str, str] = {}
    folder = files("cadre_controller.store") / "queries"
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".sql"):
            for name, sql in _blocks(entry.read_text(encoding="utf-8")):
                if name in queries:
                    raise ValueError(f"two queries are named {name}")
                queries[name] = sql
    return MappingProxyType(queries)


def _blocks(text: str) -> list[tuple[str, str]]:
    parts = _NAME.split(text)
    return [(name, sql.strip().rstrip(";")) for name, sql in zip(parts[1::2], parts[2::2], strict=True)]


def load_migrations() -> tuple[tuple[int, str, str], ...]:
    """(version, file name, SQL), ascending."""
    folder = files("cadre_controller.store") / "migrations"
    names = sorted(e.name for e in folder.iterdir() if e.name.endswith(".sql"))
    return tuple((int(n.split("_", 1)[0]), n, (folder / n).read_text(encoding="utf-8")) for n in names)
