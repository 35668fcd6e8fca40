"""Expressions of workflows: their values are plain JSON of a bounded size, and an error is never a value.

What could run long is refused when the chart is compiled."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

from cadre_core import cel
from cadre_core.canonical import CanonicalError, canonical_json

MAX_RESULT = 65_536
"""Bytes of one value as JSON."""
MAX_LIST = 1_000
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class ExpressionError(Exception):
    """An expression that has no value; the text says why."""

    reason: ClassVar[str] = "ExpressionError"


def evaluate(text: str, variables: Mapping[str, object]) -> object:
    """The value as plain JSON. Raises ExpressionError."""
    try:
        value = _compiled(text).execute(dict(variables))
    except Exception as error:
        raise ExpressionError(_first_line(error)) from None
    except BaseException as error:  # a panic in the CEL library is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise ExpressionError("it cannot be worked out") from None
    return bounded(value)


@lru_cache(maxsize=2048)
def _compiled(text: str) -> cel.Program:
    return cel.compile(text)


def condition(text: str, variables: Mapping[str, object]) -> bool:
    """The value of a condition. Raises ExpressionError when it is neither true nor false."""
    value = evaluate(text, variables)
    if not isinstance(value, bool):
        raise ExpressionError("it is neither true nor false")
    return value


def bounded(value: object) -> object:
    """The value, when it is JSON of a size that is kept. Raises ExpressionError."""
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, list) and len(value) > MAX_LIST:
        raise ExpressionError(f"a list holds {MAX_LIST} elements at most")
    if isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            bounded(inner)
    elif value is not None and not isinstance(value, str | bool | int | float):
        raise ExpressionError(f"a {type(value).__name__} is no JSON; turn it into a string")
    try:
        size = len(canonical_json(value))
    except CanonicalError as error:
        raise ExpressionError(str(error)) from None
    if size > MAX_RESULT:
        raise ExpressionError(f"the value is larger than {MAX_RESULT} bytes")
    return value


def placeholders(text: str) -> frozenset[str]:
    """Names that a text wants filled in."""
    return frozenset(_PLACEHOLDER.findall(text))


def fill(text: str, values: Mapping[str, object]) -> str:
    """The text with its `{{ name }}` filled in, once; what a value holds is never filled in again."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        return as_text(values[name]) if name in values else match.group()

    return _PLACEHOLDER.sub(value, text)


def as_text(value: object) -> str:
    """A value as it stands in a text: strings as they are, all else as JSON."""
    return value if isinstance(value, str) else canonical_json(value).decode()


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0][:300] or type(error).__name__
