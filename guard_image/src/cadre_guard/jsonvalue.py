"""Reading JSON from a program we do not trust: a wrong shape becomes an empty value, never an exception."""

import json

JsonObject = dict[str, object]


def as_object(value: object) -> JsonObject:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """The list, or an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str:
    """The string, or an empty one."""
    return value if isinstance(value, str) else ""


def as_count(value: object) -> int:
    """A non-negative whole number, or 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def parse_object(text: str | bytes) -> JsonObject | None:
    """The JSON object in `text`, or None when it is anything else."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
