"""Turns validation errors into what the author of a file needs: field, reason, what is wrong, the fix."""

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import override

from cadre_api.units import DURATION_PATTERN, MONEY_PATTERN, QUANTITY_PATTERN
from cadre_api.v1alpha1 import common

_REASONS: Mapping[str, str] = {
    "missing": "FieldRequired",
    "extra_forbidden": "FieldUnknown",
    "enum": "ValueNotSupported",
    "literal_error": "ValueNotSupported",
    "rule_broken": "RuleBroken",
    "duplicate": "DuplicateEntry",
    "string_pattern_mismatch": "ValueInvalid",
    "timezone_aware": "ValueInvalid",
}
_BOUNDS = ("too_long", "too_short", "greater_than_equal", "less_than_equal")
_FORMS: Mapping[str, str] = {
    common.NAME_PATTERN: "write lower-case letters, digits and dashes, such as finance-1",
    common.ENTITY_PATTERN: "write capitals, digits and underscores, such as CREDIT_CARD",
    DURATION_PATTERN: "write a duration with h, m, s or ms, such as 30m or 1h30m",
    MONEY_PATTERN: 'write a decimal with a point, in quotes, such as "250.00"',
    QUANTITY_PATTERN: "write a quantity such as 500m or 1Gi",
}


@dataclass(frozen=True)
class FieldProblem:
    """One thing wrong with one field: `reason` for programs, `message` and `fix` for people."""

    path: str
    reason: str
    message: str
    fix: str

    @override
    def __str__(self) -> str:
        return f"{self.path}: {self.message}; {self.fix}" if self.fix else f"{self.path}: {self.message}"


def field_problems(error: ValidationError, model: type[BaseModel]) -> tuple[FieldProblem, ...]:
    """List every problem that validating against `model` found, in the order of the file."""
    details = error.errors(include_url=False)
    return tuple(_problem(detail, model) for detail in details if not _follows(detail, details))


def _follows(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Whether a list counts as too short only because its entries are wrong, which is said already."""
    here = detail["loc"]
    deeper = (other["loc"] for other in details if len(other["loc"]) > len(here))
    return detail["type"] == "too_short" and any(loc[: len(here)] == here for loc in deeper)


def field_path(location: Sequence[str | int]) -> str:
    """Write a location as `spec.members[0].roles`; the object itself is `.`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return path.removeprefix(".") or "."


def _problem(detail: ErrorDetails, model: type[BaseModel]) -> FieldProblem:
    kind, location = detail["type"], detail["loc"]
    reason = _REASONS.get(kind) or ("OutOfBounds" if kind.endswith(_BOUNDS) else "WrongType")
    return FieldProblem(field_path(location), reason, _message(detail), _fix(detail, model))


def _message(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "missing":
            return "this field is required"
        case "extra_forbidden":
            return "there is no such field"
        case "enum" | "literal_error":
            return f"{detail['input']!r} is not a value of this field"
        case "string_pattern_mismatch":
            return f"{detail['input']!r} has the wrong form"
        case _:
            return _in_yaml_words(detail["msg"])


def _in_yaml_words(text: str) -> str:
    text = text.replace("Tuple", "List").replace("tuple", "list").replace("dictionary", "mapping")
    return text[:1].lower() + text[1:]


def _fix(detail: ErrorDetails, model: type[BaseModel]) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return f"add {detail['loc'][-1]}"
        case "extra_forbidden":
            return _nearest(str(detail["loc"][-1]), _fields_at(model, detail["loc"][:-1]), "remove it")
        case "enum" | "literal_error":
            return f"write {context['expected'].replace(chr(39), '')}"
        case "string_pattern_mismatch":
            return _FORMS.get(context["pattern"], f"it must match {context['pattern']}")
        case "string_type" if isinstance(detail["input"], int | float):
            return f'put the value in quotes: "{detail["input"]}"'
        case "timezone_aware":
            return "add the time zone, such as Z"
        case _:
            return ""


def _nearest(word: str, known: Sequence[str], otherwise: str) -> str:
    if close := get_close_matches(word, known, n=1):
        return f"did you mean {close[0]}?"
    return f"write one of {', '.join(known)}" if known else otherwise


def _fields_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Names of the fields that the object at `location` has."""
    current: type[BaseModel] | None = model
    for part in location:
        if current is not None and isinstance(part, str):
            current = _member(current, part)
    return [f.alias or name for name, f in current.model_fields.items()] if current is not None else []


def _member(model: type[BaseModel], alias: str) -> type[BaseModel] | None:
    for name, info in model.model_fields.items():
        if alias == (info.alias or name):
            return next(_models_in(info.annotation), None)
    return None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, tuple, Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _models_in(argument)
