"""OpenAPI 3.1 of the operations that a guard offers to programs."""

from collections.abc import Iterable
from typing import NamedTuple

from cadre_detect.jsonwalk import Json


class Operation(NamedTuple):
    """One `POST /v1/privacy/<name>`."""

    name: str
    description: str
    input_schema: Json


def description_of(operations: Iterable[Operation]) -> dict[str, Json]:
    """The whole document; its paths stand beside it."""
    paths: Json = {f"/v1/privacy/{each.name}": {"post": _operation(each)} for each in operations}
    info: Json = {"title": "Cadre guard: what it does for programs", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "servers": [{"url": "."}], "paths": paths}


def _operation(each: Operation) -> dict[str, Json]:
    body: Json = {"required": True, "content": {"application/json": {"schema": each.input_schema}}}
    done: Json = {"description": "Done.", "content": {"application/json": {"schema": {"type": "object"}}}}
    refused: Json = {"description": "Refused; `reason` says why."}
    answers: Json = {"200": done, "400": refused, "403": refused, "404": refused}
    return {"operationId": each.name, "summary": each.description, "requestBody": body, "responses": answers}
