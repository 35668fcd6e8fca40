"""OpenAPI 3.1 from the route table: the document cannot say anything that the routes do not do."""

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from pydantic.json_schema import models_json_schema

from cadre_api.protocol.base import Message
from cadre_controller.middlewares import Refusal
from cadre_controller.routes.table import Nothing, Route, Scope

_PARAMETER = re.compile(r"{(\w+)}")
_SCHEMAS = "#/components/schemas/{model}"


def document(routes: Sequence[Route], title: str) -> dict[str, object]:
    """The whole document for one port."""
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version("cadre")},
        "paths": paths,
        "components": {
            "schemas": _schemas(routes),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _schemas(routes: Sequence[Route]) -> Mapping[str, object]:
    models: dict[type[Message], None] = {Refusal: None}
    for route in routes:
        models |= {model: None for model in (route.input, route.answer) if model is not None}
    _, definitions = models_json_schema(
        [(model, "serialization") for model in models], by_alias=True, ref_template=_SCHEMAS
    )
    schemas = definitions.get("$defs", {})
    return schemas if isinstance(schemas, dict) else {}


def _operation(route: Route) -> dict[str, object]:
    operation: dict[str, object] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [_tag(route.path)],
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": _responses(route),
    }
    if route.scope is not Scope.OPEN:
        operation["security"] = [{"bearer": []}]
    if route.method not in ("GET", "HEAD") and route.input is not Nothing:
        content = {kind: {"schema": _reference(route.input)} for kind in route.content_types}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _responses(route: Route) -> dict[str, object]:
    ok: dict[str, object] = {"description": route.summary or "The answer"}
    if route.answer is not None:
        ok["content"] = {"application/json": {"schema": _reference(route.answer)}}
    problem = {"application/problem+json": {"schema": _reference(Refusal)}}
    return {str(route.status): ok, "default": {"description": "A refusal (RFC 9457)", "content": problem}}


def _path_parameters(route: Route) -> list[dict[str, object]]:
    names = _PARAMETER.findall(route.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(route: Route) -> list[dict[str, object]]:
    if route.method != "GET":
        return []
    schema = route.input.model_json_schema(by_alias=True)
    required = schema.get("required", [])
    definitions = schema.get("$defs", {})
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _inlined(field, definitions)}
        for name, field in schema.get("properties", {}).items()
    ]


def _inlined(field: dict[str, object], definitions: Mapping[str, dict[str, object]]) -> object:
    """A query field with its enum written out: `$defs` of a model are not part of the document."""
    if isinstance(reference := field.get("$ref"), str):
        return definitions[reference.rpartition("/")[2]]
    options = field.get("anyOf")
    if isinstance(options, list):
        return {**field, "anyOf": [_inlined(option, definitions) for option in options]}
    return field


def _reference(model: type[Message]) -> dict[str, str]:
    return {"$ref": _SCHEMAS.format(model=model.__name__)}


def _operation_id(route: Route) -> str:
    words = re.findall(r"\w+", route.path)
    return "_".join([route.method.lower(), *words])


def _tag(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", "api", "v1", "guard")]
    return parts[0] if parts else "root"
