"""From pydantic's JSON schema to the structural schemas that Kubernetes accepts, and nothing it refuses.

Kubernetes knows no `$ref`, no `null` type, no `additionalProperties: false` beside properties, no titles,
and stores defaults into objects; pydantic writes all of these. What cannot be expressed raises.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

Schema = dict[str, Any]

_DROPPED = frozenset({"title", "default", "$defs", "examples", "discriminator"})
_REFUSED = frozenset(
    {"prefixItems", "oneOf", "allOf", "not", "exclusiveMinimum", "exclusiveMaximum", "uniqueItems"}
)
_INT_OR_STRING = ("description", "maxLength", "pattern", "x-kubernetes-int-or-string")
_LEADING = ("description", "type", "format")
_INT32_MAX = 2**31 - 1


class NotStructuralError(ValueError):
    """A model says something that a CRD cannot; the message names the place."""

    reason = "NotStructural"


def structural(schema: Schema) -> Schema:
    """Return the schema without references, in the subset of OpenAPI v3 that CRDs allow."""
    return _convert(schema, schema.get("$defs", {}), ())


def _convert(schema: Schema, defs: Mapping[str, Schema], seen: tuple[str, ...]) -> Schema:
    schema, seen = _inline(schema, defs, seen)
    if refused := _REFUSED & schema.keys():
        raise NotStructuralError(
            f"{'/'.join(seen)}: {', '.join(sorted(refused))} cannot be expressed in a CRD"
        )
    kept = {key: value for key, value in schema.items() if key not in _DROPPED}
    if "description" in kept:
        kept["description"] = " ".join(kept["description"].split())
    if "const" in kept:
        kept["enum"] = [kept.pop("const")]
    if kept.get("x-kubernetes-int-or-string"):
        return _int_or_string(kept)
    return _in_order(_children(kept, defs, seen))


def _in_order(schema: Schema) -> Schema:
    """Put what a reader looks for first, and the rest in one order whatever pydantic does."""
    leading = {key: schema[key] for key in _LEADING if key in schema}
    return leading | {key: schema[key] for key in sorted(schema.keys() - leading.keys())}


def _inline(
    schema: Schema, defs: Mapping[str, Schema], seen: tuple[str, ...]
) -> tuple[Schema, tuple[str, ...]]:
    """Replace `$ref` and the optional form `anyOf: [X, null]` by X; the field's own words win."""
    while "$ref" in schema or "anyOf" in schema:
        siblings = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf")}
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            if name in seen:
                raise NotStructuralError(
                    f"{'/'.join(seen)}: {name} contains itself; refer to it by name instead"
                )
            seen, target = (*seen, name), defs[name]
        else:
            target = _only_branch(schema["anyOf"], seen)
        schema = _merge(target, siblings)
    return schema, seen


def _only_branch(branches: list[Schema], seen: tuple[str, ...]) -> Schema:
    real = [branch for branch in branches if branch.get("type") != "null"]
    if len(real) != 1:
        raise NotStructuralError(f"{'/'.join(seen)}: a union of types; make it optional members and a rule")
    return real[0]


def _merge(target: Schema, siblings: Schema) -> Schema:
    rules = [*target.get("x-kubernetes-validations", ()), *siblings.get("x-kubernetes-validations", ())]
    merged = {**target, **siblings}
    return {**merged, "x-kubernetes-validations": rules} if rules else merged


def _int_or_string(schema: Schema) -> Schema:
    kept: Schema = {key: schema[key] for key in _INT_OR_STRING if key in schema}
    return {**kept, "anyOf": [{"type": "integer"}, {"type": "string"}]}


def _children(schema: Schema, defs: Mapping[str, Schema], seen: tuple[str, ...]) -> Schema:
    match schema.get("type"):
        case "object":
            return _object(schema, defs, seen)
        case "array":
            if "maxLength" in schema or "minLength" in schema:
                raise NotStructuralError(f"{'/'.join(seen)}: a list's bounds go before its list type")
            return {**schema, "items": _convert(schema["items"], defs, seen)}
        case "integer":
            wide = max(abs(schema.get("maximum", _INT32_MAX + 1)), abs(schema.get("minimum", 0))) > _INT32_MAX
            return {**schema, "format": "int64" if wide else "int32"}
        case "string" | "boolean" | "number":
            return schema
        case _:
            raise NotStructuralError(f"{'/'.join(seen)}: a field without one type: {sorted(schema)}")


def _object(schema: Schema, defs: Mapping[str, Schema], seen: tuple[str, ...]) -> Schema:
    extra: JsonValue = schema.pop("additionalProperties", None)
    if "properties" in schema:
        properties = schema["properties"].items()
        schema["properties"] = {name: _convert(child, defs, seen) for name, child in properties}
    elif _is_free(extra, defs):
        schema["x-kubernetes-preserve-unknown-fields"] = True
    elif isinstance(extra, dict):
        schema["additionalProperties"] = _convert(extra, defs, seen)
    return schema


def _is_free(extra: JsonValue, defs: Mapping[str, Schema]) -> bool:
    """Whether any value may stand here: `dict[str, JsonValue]`."""
    if extra is True:
        return True
    if isinstance(extra, dict) and "$ref" in extra:
        return not defs[str(extra["$ref"]).rsplit("/", 1)[1]]
    return extra == {}
