"""A walk over every string and number of a JSON document, on which only what is named is left alone.

Allow-listing the structural positions (role, model, ids) and visiting all else means that a field a provider
adds tomorrow is masked, not passed. JSON inside a string (tool-call arguments) is walked as JSON, so that it
stays valid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NoReturn, TypeAlias

from cadre_detect.errors import DetectionError

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"

MAX_DEPTH = 64


class Kind(Enum):
    """What a visited text is."""

    TEXT = "text"
    NUMBER = "number"
    KEY = "key"
    SCHEMA = "schema"
    """A string inside a tool's description or schema: only exact patterns and whole terms count there."""


Visit = Callable[[str, Kind], str]


@dataclass(frozen=True, slots=True)
class WalkRules:
    """Positions with a meaning of their own: paths, where `*` is any step and a leading `**` any prefix."""

    structural: frozenset[tuple[str, ...]] = frozenset()
    """Left untouched, with all below."""
    schemas: frozenset[tuple[str, ...]] = frozenset()
    """Walked as SCHEMA, keys and structural words untouched."""
    embedded: frozenset[tuple[str, ...]] = frozenset()
    """Strings that hold JSON."""
    fixed_keys: frozenset[tuple[str, ...]] = frozenset()
    """Objects whose own keys belong to the protocol; keys of any other object are data."""


DATA = WalkRules()
"""No structure at all: every key and value is data (a tool's arguments or result)."""

_SCHEMA_WORDS = frozenset(
    {"type", "name", "format", "pattern", "$ref", "$id", "$schema", "required", "strict", "id"}
)


@dataclass(frozen=True, slots=True)
class _Walker:
    rules: WalkRules
    visit: Visit
    path: tuple[str, ...] = field(default=())
    schema: bool = False

    def walk(self, node: Json) -> Json:
        if len(self.path) > MAX_DEPTH:
            raise DetectionError("TooDeep", f"JSON nested deeper than {MAX_DEPTH}")
        if _matches(self.path, self.rules.structural):
            return node
        if isinstance(node, str):
            return self._string(node)
        if isinstance(node, Mapping):
            return self._object(node)
        if isinstance(node, Sequence):
            return [self._at("*").walk(item) for item in node]
        if node is None or isinstance(node, bool) or self.schema:
            return node
        return self._number(node)

    def _at(self, step: str) -> _Walker:
        path = (*self.path, step)
        return _Walker(self.rules, self.visit, path, self.schema or _matches(path, self.rules.schemas))

    def _object(self, node: Mapping[str, Json]) -> Json:
        if self.schema:
            return {
                k: v if k in _SCHEMA_WORDS and not isinstance(v, Mapping) else self._at(k).walk(v)
                for k, v in node.items()
            }
        if _matches(self.path, self.rules.fixed_keys):
            return {key: self._at(key).walk(value) for key, value in node.items()}
        return {self.visit(key, Kind.KEY): self._at(key).walk(value) for key, value in node.items()}

    def _string(self, text: str) -> str:
        if _matches(self.path, self.rules.embedded):
            parsed = parse_embedded(text)
            if parsed is not None:
                walked = _Walker(DATA, self.visit, ("#",)).walk(parsed)
                return text if walked == parsed else json.dumps(walked, ensure_ascii=False)
        return self.visit(text, Kind.SCHEMA if self.schema else Kind.TEXT)

    def _number(self, number: int | float) -> Json:
        text = json.dumps(number)
        visited = self.visit(text, Kind.NUMBER)
        return number if visited == text else visited


def rewrite(document: Json, rules: WalkRules, visit: Visit) -> Json:
    """A copy of the document with every visited text replaced by what `visit` returns.

    A number that changes becomes a string. Raises DetectionError(TooDeep) beyond 64 levels.
    """
    return _Walker(rules, visit).walk(document)


def parse_embedded(text: str) -> Mapping[str, Json] | Sequence[Json] | None:
    """The object or array in a string; None where writing it back could hide a part (RFC 8259, 4)."""
    try:
        parsed: Json = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, (dict, list)) else None


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name occurs twice")
    return members


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _matches(path: tuple[str, ...], patterns: frozenset[tuple[str, ...]]) -> bool:
    return any(_fits(path, pattern) for pattern in patterns)


def _fits(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if pattern[:1] == ("**",):
        tail = pattern[1:]
        return len(path) >= len(tail) and _fits(path[len(path) - len(tail) :], tail)
    return len(path) == len(pattern) and all(
        want in ("*", step) for step, want in zip(path, pattern, strict=True)
    )
