"""Tool arguments come from a model, so they are checked against the pinned schema before policy reads one.

fastjsonschema does the checking (JSON Schema draft 4 to 7). It skips keywords that it does not know, which
would let an argument through unchecked: a schema that uses one is refused when the chart is compiled.
"""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NoReturn

import fastjsonschema

from cadre_core.canonical import CanonicalError, canonical_json, digest, plain


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ANNOTATIONS: Final = _words(
    """$schema $comment $defs definitions title description default examples readOnly writeOnly deprecated
    format contentEncoding contentMediaType"""
)
_CHECKED: Final = _words(
    """$ref type enum const allOf anyOf oneOf not if then else minLength maxLength pattern minimum maximum
    exclusiveMinimum exclusiveMaximum multipleOf items minItems maxItems uniqueItems additionalItems contains
    properties required additionalProperties minProperties maxProperties patternProperties propertyNames
    dependencies"""
)
_ONE: Final = (
    "additionalProperties",
    "additionalItems",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
)
_MANY: Final = ("properties", "patternProperties", "$defs", "definitions", "dependencies")


def schema_problems(schema: object, path: str = "inputSchema") -> tuple[str, ...]:
    """Say what in a tool's schema could not be enforced; empty means every keyword in it will be."""
    found = tuple(_walk(schema, path))
    if found or path != "inputSchema":
        return found
    try:
        _validator(canonical_json(schema).decode())
    except (
        CanonicalError,
        fastjsonschema.JsonSchemaDefinitionException,
        ValueError,
        RecursionError,
    ) as error:
        return (f"{path}: {error}",)
    return ()


def check_arguments(schema: Mapping[str, object], args: Mapping[str, object]) -> tuple[str, ...]:
    """Check arguments as delivered to the tool server; returns the problems, empty when they fit."""
    try:
        canonical_json(args)
        validate = _validator(json.dumps(schema, sort_keys=True, default=plain))
        validate(plain(args))
    except fastjsonschema.JsonSchemaValueException as error:
        return (_refusal(error),)
    except CanonicalError as error:
        return (f"{error.reason}: {error}",)
    except Exception as error:  # an unusable schema must refuse, whatever the validator raised
        return (f"the tool's schema cannot be applied: {type(error).__name__}",)
    return ()


def _refusal(error: "fastjsonschema.JsonSchemaValueException") -> str:
    """Say what is wrong without any name or value that the model chose."""
    if error.rule in {"additionalProperties", "propertyNames"}:
        return "arguments have a field that the schema does not know"
    return str(error.message).replace("data", "arguments", 1)


def arguments_hash(args: Mapping[str, object]) -> str:
    """Return `sha256:<hex>` over the arguments as delivered (RFC 8785): what an approval is bound to."""
    return digest(args)


def _walk(schema: object, path: str) -> list[str]:
    if isinstance(schema, bool):
        return []
    if not isinstance(schema, Mapping):
        return [f"{path}: a schema is an object"]
    unknown = sorted(set(map(str, schema)) - _ANNOTATIONS - _CHECKED)
    found = [f"{path}.{word}: this keyword would not be enforced" for word in unknown]
    reference = schema.get("$ref", "#")
    if not isinstance(reference, str) or not reference.startswith("#"):
        found.append(f"{path}.$ref: only references inside the schema (#/$defs/…) are followed")
    if "$ref" in schema and set(map(str, schema)) & (_CHECKED - {"$ref"}):
        found.append(
            f"{path}: what stands beside $ref would not be enforced; move it into the referenced schema"
        )
    for where, child in _children(schema):
        found += _walk(child, f"{path}.{where}")
    return found


def _children(schema: Mapping[str, object]) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = [(word, schema[word]) for word in _ONE if word in schema]
    for word in _MANY:
        group = schema.get(word)
        if isinstance(group, Mapping):
            found += [
                (f"{word}.{name}", child) for name, child in group.items() if not isinstance(child, list)
            ]
    for word in ("allOf", "anyOf", "oneOf", "items"):
        group = schema.get(word)
        if isinstance(group, list | tuple):
            found += [(f"{word}[{i}]", child) for i, child in enumerate(group)]
        elif word == "items" and group is not None:
            found.append((word, group))
    return found


def _no_network(uri: str) -> NoReturn:
    raise ValueError(f"the schema refers to {uri}; only references inside the schema are followed")


@lru_cache(maxsize=1024)
def _validator(schema: str) -> Callable[[object], object]:
    handlers = {
        "http": _no_network,
        "https": _no_network,
        "ftp": _no_network,
        "file": _no_network,
        "": _no_network,
    }
    definition = json.loads(schema)
    if isinstance(definition, dict):
        definition.pop(
            "$schema", None
        )  # an old draft would skip newer keywords; the newest known one checks all
    compiled: Callable[[object], object] = fastjsonschema.compile(
        definition, handlers=handlers, use_default=False, use_formats=False
    )
    return compiled
