"""The route table: a decorator ties method, path, models and scope to a handler, so that nothing about a
route is said twice.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar, cast

from aiohttp import web
from pydantic import ValidationError

from cadre_api.protocol.base import FieldProblem, Message
from cadre_controller.auth.identity import Principal
from cadre_controller.keys import PRINCIPAL, RUNTIME
from cadre_controller.refusals import BadRequest, BodyTooLarge, UnsupportedMediaType
from cadre_controller.routes.conditional import tagged
from cadre_controller.runtime import Runtime

I = TypeVar("I", bound=Message)  # noqa: E741
_JSON = "application/json"
DEFAULT_BODY = 2 * 1024 * 1024


class Scope(StrEnum):
    """Who may call a route at all; what they may do there is decided by policy behind it."""

    OPEN = "open"
    PERSON = "person"
    GUARD = "guard"


class Nothing(Message):
    """The input of a route that takes none."""


@dataclass(frozen=True, slots=True)
class Call(Generic[I]):
    """One request, already authenticated and validated."""

    request: web.Request
    input: I
    runtime: Runtime

    @property
    def principal(self) -> Principal:
        """Who asks; only on routes that are not open."""
        return self.request[PRINCIPAL]

    def path(self, name: str) -> str:
        """A path parameter; raises BadRequest for what no name can hold."""
        _refuse_unstorable(self.request.match_info[name], name)
        return self.request.match_info[name]

    def flag(self, name: str) -> bool:
        """A boolean query parameter of a route whose input is its body; raises BadRequest."""
        value = self.request.query.get(name, "false").lower()
        if value not in ("true", "false", "1", "0", ""):
            raise BadRequest(f"query parameter {name} is neither true nor false", f"send ?{name}=true")
        return value in ("true", "1")


@dataclass(frozen=True, slots=True)
class Created:
    """An answer with a status other than the route's own."""

    body: Message
    status: int


Answer = Message | Created | web.StreamResponse | None
Handler = Callable[[Call[I]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table."""

    method: str
    path: str
    scope: Scope
    input: type[Message]
    answer: type[Message] | None
    status: int
    summary: str
    content_types: tuple[str, ...]
    serve: Callable[[web.Request], Awaitable[web.StreamResponse]]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """What aiohttp calls; a bound method, so that middlewares find the route behind it."""
        return await self.serve(request)


ROUTES: web.AppKey[Sequence[Route]] = web.AppKey("ROUTES")


class Table:
    """The routes of one module, filled by its decorators."""

    def __init__(self, scope: Scope) -> None:
        self.routes: list[Route] = []
        self._scope = scope

    def get(
        self, path: str, query: type[I], answer: type[Message] | None, scope: Scope | None = None
    ) -> Callable[[Handler[I]], Handler[I]]:
        """A GET route; its input model is the query string."""
        return self._add(_Spec("GET", path, answer, 200, 0, (_JSON,), scope or self._scope), query)

    def post(
        self,
        path: str,
        body: type[I],
        answer: type[Message] | None,
        *,
        status: int = 200,
        max_body: int = DEFAULT_BODY,
        content_types: tuple[str, ...] = (_JSON,),
        scope: Scope | None = None,
        method: str = "POST",
        raw: bool = False,
    ) -> Callable[[Handler[I]], Handler[I]]:
        """A POST (or PATCH) route; its input model is the JSON body, which a `raw` handler reads itself."""
        return self._add(
            _Spec(method, path, answer, status, max_body, content_types, scope or self._scope, raw), body
        )

    def _add(self, spec: "_Spec", model: type[I]) -> Callable[[Handler[I]], Handler[I]]:
        def register(handler: Handler[I]) -> Handler[I]:
            async def serve(request: web.Request) -> web.StreamResponse:
                call = Call(request, await _input(request, model, spec), request.config_dict[RUNTIME])
                return _response(await handler(call), spec.status, request)

            self.routes.append(_route(spec, model, handler.__doc__ or "", serve))
            return handler

        return register


@dataclass(frozen=True, slots=True)
class _Spec:
    method: str
    path: str
    answer: type[Message] | None
    status: int
    max_body: int
    content_types: tuple[str, ...]
    scope: Scope
    raw: bool = False


def _route(
    spec: _Spec, model: type[Message], doc: str, serve: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> Route:
    return Route(
        method=spec.method,
        path=spec.path,
        scope=spec.scope,
        input=model,
        answer=spec.answer,
        status=spec.status,
        content_types=spec.content_types,
        summary=doc.partition("\n")[0].rstrip("."),
        serve=serve,
    )


def route_of(request: web.Request) -> Route | None:
    """The table's route that matched, if one did."""
    owner = getattr(request.match_info.handler, "__self__", None)
    return owner if isinstance(owner, Route) else None


def add_routes(app: web.Application, tables: Sequence[Table]) -> tuple[Route, ...]:
    """Put the tables into an application."""
    routes = tuple(route for table in tables for route in table.routes)
    for route in routes:
        app.router.add_route(route.method, route.path, route.handle)
    return routes


async def _input(request: web.Request, model: type[I], spec: _Spec) -> I:
    if request.method in ("GET", "HEAD"):
        _refuse_unstorable(dict(request.query), "")
        return _validated(model, dict(request.query), "query parameter")
    if model is Nothing or spec.raw:
        return cast("I", model.model_construct())
    body = await read_body(request, spec.max_body, spec.content_types)
    data = parse_json(body)
    if b"\\u0000" in body or b"\\ud" in body.lower():
        _refuse_unstorable(data, "")
    return _validated(model, data, "field")


async def read_body(request: web.Request, max_body: int, content_types: tuple[str, ...]) -> bytes:
    """The whole body, bounded; raises UnsupportedMediaType, BodyTooLarge."""
    if request.can_read_body and request.content_type not in content_types:
        raise UnsupportedMediaType(request.content_type, content_types[0])
    if (request.content_length or 0) > max_body:
        raise BodyTooLarge(max_body)
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > max_body:
            raise BodyTooLarge(max_body)
    return bytes(body)


def _refuse_unstorable(value: object, place: str) -> None:
    """No half characters and no NUL: they can be neither stored nor looked for. Raises BadRequest."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise BadRequest(f"{place}: it holds a NUL or half a character", "send Unicode text without NUL")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _refuse_unstorable(name, place or "body")
            _refuse_unstorable(inner, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list):
        for inner in value:
            _refuse_unstorable(inner, place or "body")


def parse_json(body: bytes) -> object:
    """Strict JSON: UTF-8, no NaN or Infinity, no name twice; raises BadRequest with the place."""
    try:
        text = body.decode() or "null"
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_members)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8 at byte {error.start}", "send UTF-8") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise BadRequest(f"the body is not JSON: {error.msg} at {where}", "send valid JSON") from error
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON that we accept: {error}", "send plain JSON") from error


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name occurs twice")
    return members


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON value")


def _validated(model: type[I], data: object, what: str) -> I:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = tuple(
            _problem(dict(item), what) for item in error.errors(include_url=False, include_input=False)
        )
        detail = "; ".join(f"{p.field or 'body'}: {p.message}" for p in problems[:5])
        raise BadRequest(detail, problems[0].fix, problems) from error


def _problem(item: dict[str, object], what: str) -> FieldProblem:
    location = item.get("loc")
    place = ".".join(str(part) for part in location) if isinstance(location, tuple) else ""
    missing = item.get("type") == "missing"
    return FieldProblem(
        field=place,
        reason="Missing" if missing else "Invalid",
        message=str(item.get("msg", "")),
        fix=f"add the {what} {place}" if missing else f"correct the {what} {place or 'body'}",
    )


def _response(answer: Answer, status: int, request: web.Request) -> web.StreamResponse:
    if answer is None:
        return web.Response(status=204)
    if isinstance(answer, web.StreamResponse):
        return answer
    body, status = (answer.body, answer.status) if isinstance(answer, Created) else (answer, status)
    text = body.model_dump_json(by_alias=True)
    if request.method == "GET":
        return tagged(request, text)
    return web.Response(text=text, status=status, content_type=_JSON)
