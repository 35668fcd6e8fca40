"""JSON bodies at the border: strict in, ASCII out, and typed access to parts of unknown shape."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from cadre_detect.errors import DetectionError
from cadre_detect.jsonwalk import Json, parse_strictly
from cadre_guard.stream.errors import StreamError


def parse_body(raw: bytes, max_bytes: int = 16 * 1024 * 1024) -> dict[str, Json]:
    """A request or reply body; raises DetectionError (BodyTooLarge, BadEncoding, BadBody)."""
    if len(raw) > max_bytes:
        raise DetectionError("BodyTooLarge", f"{len(raw)} bytes, at most {max_bytes}")
    try:
        parsed = parse_strictly(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DetectionError("BadEncoding", "the body is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise DetectionError("BadBody", "the body is not strict JSON") from error
    if not isinstance(parsed, dict):
        raise DetectionError("BadBody", "the body is not a JSON object")
    return parsed


def encode_body(document: Json) -> bytes:
    """Compact JSON in ASCII (a lone surrogate stays an escape); raises ValueError for NaN."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def parse_frame(text: str) -> dict[str, Json]:
    """One frame of a stream; raises StreamError(MalformedEvent)."""
    try:
        return mutable(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise StreamError("MalformedEvent", "a frame is not JSON") from error


def mutable(value: Json) -> dict[str, Json]:
    """A shallow copy of an object; raises StreamError(MalformedEvent) for anything else, null excepted."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise StreamError("MalformedEvent", "an object was expected")
    return dict(value)


def items(value: Json) -> list[Json]:
    """The elements of an array, null being empty; raises StreamError(MalformedEvent) else."""
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise StreamError("MalformedEvent", "an array was expected")
    return list(value)


def text_of(value: Json) -> str:
    """The string, or nothing where there is none."""
    return value if isinstance(value, str) else ""


def number_of(value: Json, default: int) -> int:
    """The integer, or the default where there is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def refuse_binary(parts: Json, allowed: frozenset[str]) -> None:
    """Raise DetectionError(UnscannableContent) for a content part whose type nobody can scan."""
    if isinstance(parts, str) or not isinstance(parts, Sequence):
        return
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind is not None and kind not in allowed:
            raise DetectionError("UnscannableContent", "only text parts can be checked; send text")
