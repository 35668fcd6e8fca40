"""Turn validation errors into what a chart's author can act on: the field in YAML words, and the fix."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

_REASONS: Mapping[str, str] = {
    "missing": "Required",
    "extra_forbidden": "UnknownField",
    "enum": "UnknownValue",
    "literal_error": "UnknownValue",
    "string_pattern_mismatch": "BadFormat",
    "rule_broken": "RuleBroken",
    "duplicate": "Duplicate",
}
_BOUNDS = frozenset({"too_long", "too_short", "string_too_long", "string_too_short"})
_QUOTED = re.compile(r"'([^']*)'")


def field_path(location: tuple[int | str, ...]) -> str:
    """Spell a location as `spec.members[0].roles`."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def reason_of(error: ErrorDetails) -> str:
    """Return the CamelCase reason of a validation error."""
    kind = error["type"]
    if kind in _REASONS:
        return _REASONS[kind]
    if kind in _BOUNDS or kind.startswith(("greater_than", "less_than")):
        return "OutOfBounds"
    return "YamlBoolean" if isinstance(error.get("input"), bool) else "WrongType"


def message_of(error: ErrorDetails) -> str:
    """Say what is wrong without the library's jargon."""
    name = str(error["loc"][-1]) if error["loc"] else ""
    match error["type"]:
        case "missing":
            return f"{name} is required"
        case "extra_forbidden":
            return f"{name} is not a field here"
        case _ if isinstance(error.get("input"), bool) and reason_of(error) == "YamlBoolean":
            return f"{error['msg']}; YAML read this value as a boolean"
    return error["msg"]


def fix_of(error: ErrorDetails, model: type[BaseModel]) -> str:
    """Propose what to write instead, or the empty string."""
    kind, value = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return did_you_mean(str(error["loc"][-1]), field_names(model, error["loc"][:-1]))
    if kind in {"enum", "literal_error"}:
        choices = _QUOTED.findall(str((error.get("ctx") or {}).get("expected", "")))
        if isinstance(value, str):
            return did_you_mean(value, choices)
        return f"write one of {', '.join(choices)}, in quotes if YAML reads it otherwise"
    if kind == "missing":
        return f"add {error['loc'][-1]}"
    if kind == "string_type" and isinstance(value, int | float):
        return f'put the value in quotes: "{value}"'
    return ""


def did_you_mean(word: str, choices: list[str] | tuple[str, ...]) -> str:
    """Name the closest choice, else all of them when they are few."""
    lower = {choice.lower(): choice for choice in choices}
    close = get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    if close:
        return f"did you mean {lower[close[0]]}?"
    return f"use one of {', '.join(sorted(choices))}" if 0 < len(choices) <= 24 else ""


def field_names(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the YAML names of the fields that exist at a location."""
    current: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int) or current is None:
            continue
        named = {field.alias or name: field for name, field in current.model_fields.items()}
        current = next(_models(named[part].annotation), None) if part in named else None
    return [] if current is None else [field.alias or name for name, field in current.model_fields.items()]


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Annotated, Union, UnionType, tuple, list, dict}:
        for part in get_args(annotation):
            yield from _models(part)
