"""Follow a field through a pinned JSON schema: is it there, of which types, how would a value look."""

from collections.abc import Iterator, Mapping

Schema = Mapping[str, object]
_DEPTH = 12


def branches(schema: object, root: Schema, depth: int = 0) -> Iterator[Schema]:
    """Yield the schema itself or, through $ref and anyOf/oneOf/allOf, what it stands for."""
    if not isinstance(schema, Mapping) or depth > _DEPTH:
        return
    reference = schema.get("$ref")
    if isinstance(reference, str):
        yield from branches(_pointer(root, reference), root, depth + 1)
        return
    yield schema
    for word in ("anyOf", "oneOf", "allOf"):
        group = schema.get(word)
        for child in group if isinstance(group, list | tuple) else ():
            yield from branches(child, root, depth + 1)


def _pointer(root: Schema, reference: str) -> object:
    current: object = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            name = part.replace("~1", "/").replace("~0", "~")
            current = current.get(name) if isinstance(current, Mapping) else None
    return current


def at(schema: Schema, fields: tuple[str, ...]) -> tuple[Schema, ...]:
    """Return the schemas that describe a field; empty when the schema does not declare it."""
    current: tuple[Schema, ...] = tuple(branches(schema, schema))
    for name in fields:
        children = [child for part in current for child in _children(part, name)]
        current = tuple(found for child in children for found in branches(child, schema))
    return current


def _children(schema: Schema, name: str) -> Iterator[object]:
    if name == "[]":
        yield from (schema[word] for word in ("items",) if word in schema)
        return
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and name in properties:
        yield properties[name]


def types_of(schemas: tuple[Schema, ...]) -> frozenset[str]:
    """Return the JSON types that a field may have; empty when the schema leaves them open."""
    found: set[str] = set()
    for schema in schemas:
        stated = schema.get("type")
        found.update(
            [stated] if isinstance(stated, str) else stated if isinstance(stated, list | tuple) else ()
        )
        enum = schema.get("enum")
        constants = [*(enum if isinstance(enum, list | tuple) else ())]
        constants += [schema["const"]] if "const" in schema else []
        found.update(json_type(value) for value in constants)
    return frozenset(found)


def json_type(value: object) -> str:
    """Name a value's type as JSON Schema does."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list() | tuple():
            return "array"
        case _:
            return "object"


def sample(schema: object, root: Schema, turn: int, depth: int = 0) -> object:
    """Make a value of the schema's shape; `turn` picks among alternatives, so that turns meet them all."""
    options = [part for part in branches(schema, root) if types_of((part,)) or "properties" in part]
    if not options or depth > _DEPTH:
        return "text"
    chosen, turn = options[turn % len(options)], turn // len(options)
    for word in ("const", "enum"):
        if word in chosen:
            value = chosen[word]
            return value[turn % len(value)] if word == "enum" and isinstance(value, list | tuple) else value
    kinds = sorted(types_of((chosen,)) or {"object"})
    return _of_type(kinds[turn % len(kinds)], chosen, root, turn // len(kinds), depth)


def _of_type(kind: str, schema: Schema, root: Schema, turn: int, depth: int) -> object:
    match kind:
        case "object":
            properties = schema.get("properties")
            named = properties if isinstance(properties, Mapping) else {}
            return {name: sample(child, root, turn, depth + 1) for name, child in named.items()}
        case "array":
            return [sample(schema.get("items", {}), root, turn, depth + 1)]
        case "number":
            return (1.5, 2)[turn % 2]
        case "integer":
            return 2
        case "boolean":
            return turn % 2 == 0
        case "null":
            return None
        case _:
            return "text"
