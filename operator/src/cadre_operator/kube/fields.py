"""Reads untyped objects of the cluster: an absent or mistyped field is empty, never an exception."""

from collections.abc import Mapping, Sequence

Json = dict[str, object]


def at(obj: object, *path: str) -> object:
    """Return the value at a path of mappings; None when there is none."""
    for name in path:
        if not isinstance(obj, Mapping):
            return None
        obj = obj.get(name)
    return obj


def text(obj: object, *path: str) -> str:
    """Return a text; empty when absent."""
    found = at(obj, *path)
    return found if isinstance(found, str) else ""


def number(obj: object, *path: str) -> int:
    """Return an integer; 0 when absent."""
    found = at(obj, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def mapping(obj: object, *path: str) -> Mapping[str, object]:
    """Return a mapping; empty when absent."""
    found = at(obj, *path)
    return found if isinstance(found, Mapping) else {}


def texts(obj: object, *path: str) -> dict[str, str]:
    """Return a mapping of texts, such as labels; empty when absent."""
    return {key: value for key, value in mapping(obj, *path).items() if isinstance(value, str)}


def items(obj: object, *path: str) -> list[Mapping[str, object]]:
    """Return a list of mappings; empty when absent."""
    found = at(obj, *path)
    if not isinstance(found, Sequence) or isinstance(found, str):
        return []
    return [item for item in found if isinstance(item, Mapping)]


def version_of(obj: object) -> int:
    """Return the resource version as a number: versions of one resource are ordered; 0 when absent."""
    version = text(obj, "metadata", "resourceVersion")
    return int(version) if version.isdecimal() else 0
