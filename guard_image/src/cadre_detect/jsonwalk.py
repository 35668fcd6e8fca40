"""A walk over every string, number and key of a JSON document; nothing is passed over.

Positions with a meaning to the protocol (role, model, ids, tool schemas) are named, and only exact patterns
count there; all else is data, so a field that a provider adds tomorrow is masked, not passed. JSON inside a
string (tool-call arguments) is walked as JSON, so that it stays valid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import NoReturn, TypeAlias

from cadre_detect.errors import DetectionError

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"
Path: TypeAlias = tuple[str, ...]

MAX_DEPTH = 64
_SHORTEST_CARD = 10**11


class Kind(Enum):
    """What a visited text is."""

    TEXT = "text"
    NUMBER = "number"
    KEY = "key"
    STRUCTURE = "structure"
    """A string at a structural position."""
    FRAGMENT = "fragment"
    """A string that should hold JSON and does not parse."""


Visit = Callable[[str, Kind], str]


@dataclass(frozen=True, slots=True)
class WalkRules:
    """Paths from the root, where `*` is any index or key."""

    structural: frozenset[Path] = frozenset()
    """The protocol's own positions, with all below them."""
    embedded: frozenset[Path] = frozenset()
    """Strings that hold JSON."""


DATA = WalkRules()
"""No structure at all: every key and value is data (a tool's arguments or result)."""


def rewrite(document: Json, rules: WalkRules, visit: Visit) -> Json:
    """A copy of the document with every visited text replaced by what `visit` returns.

    A number that changes becomes a string. Raises DetectionError(TooDeep) beyond 64 levels.
    """
    return _Walker(rules, visit, (), False).walk(document)


@dataclass(frozen=True, slots=True)
class _Walker:
    rules: WalkRules
    visit: Visit
    path: Path
    structure: bool

    def walk(self, node: Json) -> Json:
        if len(self.path) > MAX_DEPTH:
            raise DetectionError("TooDeep", f"JSON nested deeper than {MAX_DEPTH}")
        if isinstance(node, str):
            return self._string(node)
        if isinstance(node, Mapping):
            return {self.visit(key, Kind.KEY): self._at(key).walk(value) for key, value in node.items()}
        if isinstance(node, Sequence):
            inner = self._at("*")
            return [inner.walk(item) for item in node]
        return node if node is None or isinstance(node, bool) else self._number(node)

    def _at(self, step: str) -> _Walker:
        path = (*self.path, step)
        return _Walker(self.rules, self.visit, path, self.structure or _fits(path, self.rules.structural))

    def _string(self, text: str) -> str:
        if self.structure:
            return self.visit(text, Kind.STRUCTURE)
        if not _fits(self.path, self.rules.embedded):
            return self.visit(text, Kind.TEXT)
        parsed = parse_embedded(text)
        if parsed is None:
            return self.visit(text, Kind.FRAGMENT)
        walked = _Walker(DATA, self.visit, ("#",), False).walk(parsed)
        return text if walked == parsed else json.dumps(walked, ensure_ascii=False)

    def _number(self, number: int | float) -> Json:
        if self.structure and abs(number) < _SHORTEST_CARD:
            return number
        text = json.dumps(number)
        visited = self.visit(text, Kind.NUMBER)
        return number if visited == text else visited


def parse_embedded(text: str) -> Mapping[str, Json] | Sequence[Json] | None:
    """The object or array in a string; None where writing it back could hide a part (RFC 8259, 4)."""
    try:
        parsed = parse_strictly(text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, (dict, list)) else None


def parse_strictly(text: str) -> Json:
    """Parse JSON in which no member name repeats and no NaN occurs; raises ValueError or RecursionError."""
    parsed: Json = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    return parsed


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name occurs twice")
    return members


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _fits(path: Path, patterns: frozenset[Path]) -> bool:
    return bool(patterns) and _fits_any(path, patterns)


@lru_cache(maxsize=4096)
def _fits_any(path: Path, patterns: frozenset[Path]) -> bool:
    return any(
        len(path) == len(pattern)
        and all(want in ("*", step) for step, want in zip(path, pattern, strict=True))
        for pattern in patterns
    )
