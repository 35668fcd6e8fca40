"""Reading JSON from a program we do not trust: a wrong shape becomes an empty value, never an exception."""

import json
from collections.abc import Mapping, Sequence

from cadre_detect.jsonwalk import Json

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


def size_within(document: Json, limit: int) -> bool:
    """Whether all keys and strings, and one for each value, come to `limit` characters at most."""
    left, waiting = limit, [document]
    while waiting and left >= 0:
        value = waiting.pop()
        left -= 1
        if isinstance(value, str):
            left -= len(value)
        elif isinstance(value, Mapping):
            left -= sum(map(len, value))
            waiting.extend(value.values())
        elif isinstance(value, Sequence):
            waiting.extend(value)
    return left >= 0
