"""State for people: read, write, history and watch; values restored within the reader's clearance."""

from aiohttp import web

from cadre_api.protocol.state import StateGet, StateList, StatePage, StatePut, StateView, StateWatch
from cadre_controller.errors import VersionConflict
from cadre_controller.refusals import BadRequest, PreconditionFailed
from cadre_controller.routes.conditional import idempotency_key
from cadre_controller.routes.public.reader import Reader, reader
from cadre_controller.routes.table import Answer, Call, Scope, Table
from cadre_controller.services.state import grants_of

TABLE = Table(Scope.PERSON)
_MAX_BODY = 512 * 1024


@TABLE.get("/api/v1/state", StateList, StatePage)
async def keys(call: Call[StateList]) -> Answer:
    """The keys of a scope with their values."""
    who = reader(call)
    page = await call.runtime.services.state.list(who.actor, call.input)
    return await who.restored(grants_of(call.input.scope), page)


@TABLE.get("/api/v1/state/entry", StateGet, StateView)
async def entry(call: Call[StateGet]) -> Answer:
    """One key; its version is the ETag."""
    who = reader(call)
    view = await call.runtime.services.state.get(who.actor, call.input)
    if call.request.headers.get("If-None-Match") == etag(view.version):
        return web.Response(status=304, headers={"ETag": etag(view.version)})
    return await _answer(who, view)


@TABLE.post("/api/v1/state/entry", StatePut, StateView, method="PUT", max_body=_MAX_BODY)
async def put(call: Call[StatePut]) -> Answer:
    """Write or remove a key; If-Match and If-None-Match: * compare first, an Idempotency-Key writes once."""
    who, given, expected = reader(call), call.input, _expected(call.request)
    if expected is not None:
        given = given.model_copy(update={"version": expected})
    try:
        view = await call.runtime.services.state.put(
            who.actor, given, idempotency_key=idempotency_key(call.request)
        )
    except VersionConflict as error:
        if expected is None:
            raise
        raise PreconditionFailed(error.message) from error
    return await _answer(who, view)


@TABLE.get("/api/v1/state/history", StateGet, StatePage)
async def history(call: Call[StateGet]) -> Answer:
    """The last versions of a key, newest first."""
    who = reader(call)
    page = await call.runtime.services.state.history(who.actor, call.input)
    return await who.restored(grants_of(call.input.scope), page)


@TABLE.get("/api/v1/state/watch", StateWatch, StatePage)
async def watch(call: Call[StateWatch]) -> Answer:
    """Long poll: what changed in a scope."""
    who = reader(call)
    waiting = call.runtime.services.state.watch(who.actor, call.input)
    page = await call.runtime.unless_stopping(waiting)
    return await who.restored(grants_of(call.input.scope), page)


def etag(version: int) -> str:
    """A version as a strong entity tag (RFC 9110, 8.8.3)."""
    return f'"{version}"'


def _expected(request: web.Request) -> int | None:
    """The version that the conditional headers name; raises BadRequest."""
    match, none_match = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if none_match is not None and none_match != "*":
        raise BadRequest("If-None-Match: only * is understood when writing", "send If-None-Match: *")
    if none_match == "*":
        return 0
    if match is None:
        return None
    version = match.strip().removeprefix('"').removesuffix('"')
    if not version.isascii() or not version.isdecimal() or len(version) > 18:
        raise BadRequest(
            f"If-Match: {match[:40]} is no ETag of this resource", "send the ETag of the last read"
        )
    return int(version)


async def _answer(who: Reader, view: StateView) -> web.Response:
    shown = await who.restored(grants_of(view.scope), view)
    return web.json_response(text=shown.model_dump_json(by_alias=True), headers={"ETag": etag(view.version)})
