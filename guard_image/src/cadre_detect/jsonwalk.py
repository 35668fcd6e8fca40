"""A walk over every string, number and key of a JSON document; nothing is passed over.

Positions with a meaning to the protocol (role, model, ids, tool schemas) are named, and only exact patterns
count there; all else is data, so a field that a provider adds tomorrow is masked, not passed. JSON inside a
string (tool-call arguments) is walked as JSON, so that it stays valid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    schemas: frozenset[Path] = frozenset()
    """JSON Schemas: structure, but for what they say to a reader (titles, descriptions, examples)."""
    sealed: frozenset[Path] = frozenset()
    """What a model signed or enciphered and wants back as it came: left alone when it is in `seals`."""
    seals: Container[str] = frozenset()
    """Sealed texts that did come from the model."""
    fixed: Container[str] = frozenset()
    """Texts from those who wrote the rules (descriptions of their own tools): taken as structure."""


DATA = WalkRules()
"""No structure at all: every key and value is data (a tool's arguments or result)."""

_READ = frozenset({"description", "title", "$comment", "default", "examples", "example"})
_NAMES = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})


def rewrite(document: Json, rules: WalkRules, visit: Visit) -> Json:
    """A copy of the document with every visited text replaced by what `visit` returns.

    A number that changes becomes a string. Raises DetectionError(TooDeep) beyond 64 levels.
    """
    return _Walk(rules, visit).node(document, _trees(rules), _Place())


def rewrite_at(node: Json, rules: WalkRules, path: Path, visit: Visit) -> Json:
    """The same for the part of a document that stands at `path`."""
    trees, place = _trees(rules), _Place()
    for step in path:
        trees, place = _below(trees, step, place)
    return _Walk(rules, visit).node(node, trees, place)


class _Mark(Enum):
    STRUCTURE = 1
    EMBEDDED = 2
    SCHEMA = 3
    SEALED = 4


@dataclass(slots=True)
class _Tree:
    """The rules' paths, merged by their beginnings."""

    steps: dict[str, _Tree] = field(default_factory=dict)
    marks: set[_Mark] = field(default_factory=set)

    def add(self, path: Path, mark: _Mark) -> None:
        """One more path."""
        tree = self
        for step in path:
            tree = tree.steps.setdefault(step, _Tree())
        tree.marks.add(mark)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the walk is."""

    depth: int = 0
    structure: bool = False
    schema: bool = False
    names: bool = False
    """The keys here are names of a schema's own choice, not keywords."""


@lru_cache(maxsize=64)
def _tree(
    structural: frozenset[Path], embedded: frozenset[Path], schemas: frozenset[Path], sealed: frozenset[Path]
) -> _Tree:
    root = _Tree()
    for paths, mark in zip((structural, embedded, schemas, sealed), _Mark, strict=True):
        for path in paths:
            root.add(path, mark)
    return root


def _trees(rules: WalkRules) -> tuple[_Tree, ...]:
    return (_tree(rules.structural, rules.embedded, rules.schemas, rules.sealed),)


@dataclass(frozen=True, slots=True)
class _Walk:
    rules: WalkRules
    visit: Visit

    def node(self, node: Json, trees: tuple[_Tree, ...], place: _Place) -> Json:
        if place.depth > MAX_DEPTH:
            raise DetectionError("TooDeep", f"JSON nested deeper than {MAX_DEPTH}")
        if isinstance(node, str):
            return self._string(node, trees, place)
        if isinstance(node, Mapping):
            return {
                self.visit(key, Kind.KEY): self._member(key, value, trees, place)
                for key, value in node.items()
            }
        if isinstance(node, Sequence):
            below, inner = _below(trees, "*", place)
            return [self.node(item, below, inner) for item in node]
        return node if node is None or isinstance(node, bool) else self._number(node, place)

    def _member(self, key: str, value: Json, trees: tuple[_Tree, ...], place: _Place) -> Json:
        below, inner = _below(trees, key, place)
        if place.schema and not place.names:
            if key in _READ:
                inner = _Place(inner.depth)
            elif key in _NAMES:
                inner = replace(inner, names=True)
        return self.node(value, below, inner)

    def _string(self, text: str, trees: tuple[_Tree, ...], place: _Place) -> str:
        marks = [mark for tree in trees for mark in tree.marks]
        if _Mark.SEALED in marks and text in self.rules.seals:
            return text
        if place.structure:
            return self.visit(text, Kind.STRUCTURE)
        if _Mark.EMBEDDED not in marks:
            return self.visit(text, Kind.STRUCTURE if text in self.rules.fixed else Kind.TEXT)
        parsed = parse_embedded(text)
        if parsed is None:
            return self.visit(text, Kind.FRAGMENT)
        walked = self.node(parsed, (), _Place(1))
        return text if walked == parsed else json.dumps(walked, ensure_ascii=False)

    def _number(self, number: int | float, place: _Place) -> Json:
        if place.structure and abs(number) < _SHORTEST_CARD:
            return number
        text = json.dumps(number)
        visited = self.visit(text, Kind.NUMBER)
        return number if visited == text else visited


def _below(trees: tuple[_Tree, ...], step: str, place: _Place) -> tuple[tuple[_Tree, ...], _Place]:
    steps = (step,) if step == "*" else (step, "*")
    below = tuple(found for tree in trees for each in steps if (found := tree.steps.get(each)))
    marks = {mark for tree in below for mark in tree.marks}
    schema = place.schema or _Mark.SCHEMA in marks
    structure = place.structure or schema or _Mark.STRUCTURE in marks
    return below, _Place(place.depth + 1, structure, schema)


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
