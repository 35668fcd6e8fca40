"""The typed objects of a tenant and where each field was written, so that every later problem has a line."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from cadre_api.v1alpha1 import KINDS, Resource
from cadre_core.model import Problem

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; line 0 = unknown (the object came from a cluster)."""

    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Resources:
    """All objects by kind and key (`namespace/name`), keys sorted, so that input order cannot matter."""

    objects: Mapping[str, Mapping[str, Resource]]
    positions: Mapping[tuple[str, str], Mapping[str, Position]] = field(default_factory=dict)
    """(kind, key) -> field path -> place; the empty path is the object itself."""
    invalid: frozenset[tuple[str, str]] = frozenset()
    """(kind, key) of what is refused by itself: a reference to it is no problem of its own."""

    @classmethod
    def of_models(cls, models: Iterable[Resource]) -> "Resources":
        """Index objects that did not come from files."""
        ordered = sorted(models, key=lambda model: model.key)
        return cls({kind: {key_of(m): m for m in ordered if m.kind == kind} for kind in KINDS})

    def of(self, kind: type[R]) -> Mapping[str, R]:
        """Return the objects of one kind by key."""
        found = self.objects.get(kind.__name__, {})
        return {key: model for key, model in found.items() if isinstance(model, kind)}

    def where(self, kind: str, key: str, path: str) -> Position:
        """Return the place of a field, or of the nearest enclosing thing that is in the file."""
        places = self.positions.get((kind, key), {})
        while path and path not in places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return places.get(path, Position())

    def problem(self, model: Resource, path: str, reason: str, message: str, fix: str = "") -> Problem:
        """Make a problem of one object, with its place."""
        key = key_of(model)
        place = self.where(model.kind, key, path)
        return Problem(f"{model.kind} {key}", path, reason, message, fix, place.file, place.line)


def key_of(model: Resource) -> str:
    """Return `namespace/name`."""
    return f"{model.metadata.namespace}/{model.metadata.name}"


def ordered(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Sort problems as a reader meets them and drop repetitions."""
    unique = set(problems)
    return tuple(sorted(unique, key=lambda p: (p.file, p.line, p.resource, p.field, p.reason, p.message)))
