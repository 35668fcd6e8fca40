"""One byte form for every value that is compared, hashed or signed: two programs agree what is the same."""

import hashlib
import json
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

import rfc8785

MAX_DEPTH = 64
"""Deepest nesting taken; an argument tree needs less, a bomb needs more."""


_BARE = frozenset({str, int, bool, float, type(None)})
_SAFE_INTEGER = 2**53 - 1
_DIRECT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
"""Writes RFC 8785 for values without floats whose member names are ASCII: escapes and order are the same."""


class CanonicalError(ValueError):
    """The value has no canonical JSON form; `reason` says why: NumberOutOfRange, TooDeep or NotJson."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def canonical_json(obj: object) -> bytes:
    """Serialise to RFC 8785 bytes; any mapping or sequence does, sets are sorted. Raises CanonicalError."""
    try:
        value = plain(obj)
        if _is_direct(value):
            return _DIRECT.encode(value).encode()
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except (rfc8785.IntegerDomainError, rfc8785.FloatDomainError) as error:
        raise CanonicalError(
            "NumberOutOfRange", f"{error}; numbers are IEEE doubles, integers within ±2^53"
        ) from error
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise CanonicalError("NotJson", str(error)) from error


def _is_direct(value: object) -> bool:
    """Whether the standard encoder writes the same bytes as RFC 8785 for this bare JSON value."""
    if value is None or isinstance(value, str):
        return True
    if isinstance(value, int):
        return -_SAFE_INTEGER <= value <= _SAFE_INTEGER
    if isinstance(value, dict):
        return all(
            isinstance(key, str) and key.isascii() and _is_direct(inner) for key, inner in value.items()
        )
    return isinstance(value, list) and all(_is_direct(inner) for inner in value)


def digest(obj: object) -> str:
    """Return `sha256:<hex>` over the canonical JSON. Raises CanonicalError."""
    return "sha256:" + hashlib.sha256(canonical_json(obj)).hexdigest()


def plain(obj: object, depth: int = 0) -> object:
    """Turn frozen values (mappings, tuples, sets, dataclasses, dates, decimals) into bare JSON types."""
    if depth > MAX_DEPTH:
        raise CanonicalError("TooDeep", f"nested more than {MAX_DEPTH} levels deep")
    if type(obj) in _BARE:
        return obj
    match obj:
        case Enum():
            return obj.value
        case None | bool() | int() | float() | str():
            return obj
        case dict() | Mapping():  # a dict first: asking an abstract class is many times as dear
            return {key: plain(value, depth + 1) for key, value in obj.items()}
        case list() | tuple():
            return [plain(value, depth + 1) for value in obj]
        case Set():
            return sorted((plain(value, depth + 1) for value in obj), key=rfc8785.dumps)  # type: ignore[arg-type]
        case Decimal():
            return format(obj, "f")
        case datetime():
            return obj.isoformat()
        case _:
            return _record(obj, depth)


def _record(obj: object, depth: int) -> object:
    if not is_dataclass(obj):
        raise CanonicalError("NotJson", f"{type(obj).__name__} is not a JSON value")
    return {f.name: plain(getattr(obj, f.name), depth + 1) for f in fields(obj)}
