"""What a field or model says about itself beyond its type, once for both worlds.

A cluster validates with CEL and list types in the CRD; a laptop validates with pydantic. Each marker
here carries both forms, so that a rule cannot exist in one world and be missing in the other.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import override

from cadre_api.documented import describe


def camel(name: str) -> str:
    """Name of a field outside: camelCase, without the underscore that dodges a Python keyword."""
    return to_camel(name.rstrip("_"))


@dataclass(frozen=True)
class Rule:
    """A constraint across fields: `cel` for the API server, `check` for local files.

    A rule about change (it reads `oldSelf`) has no `check`: a file has no previous version.
    """

    cel: str
    message: str
    check: Callable[[Any], bool] | None = None

    def as_validation(self) -> dict[str, str]:
        """Return the entry of `x-kubernetes-validations`."""
        return {"rule": self.cel, "message": self.message}


def exactly_one_of(*fields: str) -> Rule:
    """Make a union: one of the named members is set, no two."""
    return _count(fields, "== 1", lambda n: n == 1, "exactly one of")


def at_least_one_of(*fields: str) -> Rule:
    """Require that the object says something at all."""
    return _count(fields, ">= 1", lambda n: n >= 1, "at least one of")


def _count(fields: tuple[str, ...], cel_test: str, test: Callable[[int], bool], words: str) -> Rule:
    names = [camel(name) for name in fields]
    terms = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in names)
    return Rule(
        cel=f"{terms} {cel_test}",
        message=f"set {words}: {', '.join(names)}",
        check=lambda obj: test(sum(getattr(obj, name) is not None for name in fields)),
    )


def only_with(dependent: str, *owners: str) -> Rule:
    """Refuse `dependent` unless one of `owners` is set beside it."""
    names = [camel(name) for name in owners]
    owner_cel = " || ".join(f"has(self.{name})" for name in names)
    return Rule(
        cel=f"!has(self.{camel(dependent)}) || {owner_cel}",
        message=f"{camel(dependent)} needs {' or '.join(names)} beside it",
        check=lambda obj: getattr(obj, dependent) is None or any(getattr(obj, o) is not None for o in owners),
    )


class ApiModel(BaseModel):
    """Base of every API object: camelCase outside, snake_case inside, immutable, documented by its fields.

    Objects from a cluster ignore unknown fields (the API server pruned them); local files are read with
    `model_validate(obj, extra="forbid")`, so that a misspelt field is an error and not a lost rule.
    """

    model_config = ConfigDict(
        alias_generator=camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
    )

    validations: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        broken = [r.message for r in self.validations if r.check is not None and not r.check(self)]
        if broken:
            raise PydanticCustomError("rule_broken", "{text}", {"text": "; ".join(broken)})
        return self

    @classmethod
    @override
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the fields' docstrings and the model's CEL rules to its schema."""
        reference = handler(core_schema)
        target = handler.resolve_ref_schema(reference)
        describe(cls, target)
        if cls.validations:
            target["x-kubernetes-validations"] = [rule.as_validation() for rule in cls.validations]
        return reference


def _refuse_duplicates(values: tuple[Any, ...], key: Callable[[Any], Hashable]) -> tuple[Any, ...]:
    seen: set[Hashable] = set()
    for value in values:
        if key(value) in seen:
            raise PydanticCustomError("duplicate", "duplicate entry {key}", {"key": repr(key(value))})
        seen.add(key(value))
    return values


@dataclass(frozen=True)
class ListMap:
    """A list of objects merged by key, so that server-side apply merges entries and not whole lists."""

    key: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Refuse two entries of one key."""
        return core_schema.no_info_after_validator_function(self._unique, handler(source))

    def _unique(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return _refuse_duplicates(values, lambda value: str(getattr(value, self.key)))

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Say `list-type: map`."""
        keys = [camel(self.key)]
        return {**handler(core_schema), "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}


@dataclass(frozen=True)
class ListSet:
    """A list of scalars without order or repetition."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Refuse repeated values."""
        return core_schema.no_info_after_validator_function(self._unique, handler(source))

    @staticmethod
    def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return _refuse_duplicates(values, str)

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Say `list-type: set`."""
        return {**handler(core_schema), "x-kubernetes-list-type": "set"}


@dataclass(frozen=True)
class Column:
    """One printer column of `kubectl get`; priority 1 shows with `-o wide` only."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True)
class Scale:
    """The scale subresource: where replicas and selector live."""

    spec_replicas: str = ".spec.replicas"
    status_replicas: str = ".status.replicas"
    selector: str = ".status.selector"


@dataclass(frozen=True)
class Crd:
    """What a kind's CRD says besides its schema."""

    plural: str
    singular: str
    short_name: str
    columns: tuple[Column, ...] = field(default=())
    scale: Scale | None = None
