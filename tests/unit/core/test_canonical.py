"""Canonical JSON and argument checks."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cadre_api.protocol.base import Effect
from cadre_core.arguments import arguments_hash, check_arguments, schema_problems
from cadre_core.canonical import CanonicalError, canonical_json, digest
from cadre_core.model import ModelChoice


def test_rfc8785_form() -> None:
    assert (
        canonical_json({"b": 1.0, "a": [1e21, "é", None, True]})
        == '{"a":[1e+21,"é",null,true],"b":1}'.encode()
    )
    assert digest({}).startswith("sha256:44136fa355b3678a")


def test_frozen_values() -> None:
    value = {
        "set": frozenset({"b", "a"}),
        "money": Decimal("1.50"),
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "enum": Effect.DENY,
        "record": ModelChoice("p", "m"),
        "tuple": (1,),
    }
    assert canonical_json(value) == (
        b'{"at":"2026-01-01T00:00:00+00:00","enum":"Deny","money":"1.50",'
        b'"record":{"model":"m","provider":"p"},"set":["a","b"],"tuple":[1]}'
    )


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "NumberOutOfRange"),
        (float("inf"), "NumberOutOfRange"),
        (10**30, "NumberOutOfRange"),
        (-(2**53), "NumberOutOfRange"),
        ("\ud800", "NotJson"),
        ({1: 2}, "NotJson"),
        (object(), "NotJson"),
        (nested(65), "TooDeep"),
        (nested(5000), "TooDeep"),
    ],
)
def test_refused(value: object, reason: str) -> None:
    with pytest.raises(CanonicalError) as error:
        canonical_json({"v": value})
    assert error.value.reason == reason


def test_arguments_hash_ignores_spelling_only() -> None:
    assert arguments_hash({"a": 1, "b": 2.0}) == arguments_hash({"b": 2, "a": 1.0})
    assert arguments_hash({"a": 1}) != arguments_hash({"a": "1"})


SCHEMA = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1}, "s": {"$ref": "#/$defs/s"}, "k": {"const": 5}},
    "required": ["n"],
    "additionalProperties": False,
    "$defs": {"s": {"type": "string", "maxLength": 3, "default": "x"}},
}


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ({"n": 1}, None),
        ({"n": 1.0, "s": "abc"}, None),
        ({}, "must contain"),
        ({"n": "1"}, "arguments.n"),
        ({"n": True}, "arguments.n"),
        ({"n": 0}, "arguments.n"),
        ({"n": 1, "s": "abcd"}, "arguments.s"),
        ({"n": 1, "k": 6}, "arguments.k"),
        ({"n": 1, "Ann Miller": 2}, "a field that the schema does not know"),
        ({"n": float("nan")}, "NumberOutOfRange"),
        ({"n": 10**30}, "NumberOutOfRange"),
    ],
)
def test_check_arguments(args: dict, problem: str | None) -> None:
    before = dict(args)
    found = check_arguments(SCHEMA, args)
    if problem is None:
        assert found == ()
        assert args == before  # defaults are not written into what is delivered
    else:
        assert problem in found[0]
        assert "Ann" not in found[0]


def test_an_unusable_schema_refuses() -> None:
    assert "cannot be applied" in check_arguments({"type": "object", "required": 5}, {"a": 1})[0]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"unevaluatedProperties": False}, "unevaluatedProperties"),
        ({"properties": {"a": {"prefixItems": []}}}, "properties.a.prefixItems"),
        ({"$ref": "https://elsewhere.example/s.json"}, "inside the schema"),
        ({"$ref": "#/$defs/a", "minimum": 3, "$defs": {"a": {}}}, "beside $ref"),
        ({"anyOf": [{"dependentRequired": {}}]}, "anyOf[0]"),
        ({"items": {"minContains": 1}}, "items.minContains"),
        ({"not": 5}, "a schema is an object"),
        ({"type": "nonsense"}, "inputSchema"),
        ({"maximum": float("inf")}, "inputSchema"),
        ([], "a schema is an object"),
    ],
)
def test_schema_problems(schema: object, words: str) -> None:
    assert words in " ".join(schema_problems(schema))


def test_sound_schemas_have_no_problems() -> None:
    assert schema_problems(SCHEMA) == ()
    assert schema_problems({"properties": {"a": True}, "dependencies": {"a": ["b"]}}) == ()
