"""Model calls: the endpoints of every model API, which only guards can reach."""

import hashlib
from dataclasses import replace

from aiohttp import web

from cadre_api.protocol.base import Message, type_json
from cadre_controller.gateways.model.apis import APIS, Api
from cadre_controller.gateways.model.call import CallHeaders, PreparedCall
from cadre_controller.gateways.model.request import parse_request
from cadre_controller.refusals import BadRequest
from cadre_controller.routes.guard.caller import caller, traceparent
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table, parse_json, read_body

TABLE = Table(Scope.GUARD)
_MAX_BODY = 16 * 1024 * 1024


class ModelBody(Message):
    """A request in the API that the path names, already masked; fields we do not know pass through."""

    stream: bool = False


class ModelList(Message):
    """The models as an OpenAI client lists them."""

    object: str = "list"
    data: tuple[type_json, ...]


def _add(api: Api) -> None:
    @TABLE.post(f"/guard/v1/model/{api.name}", ModelBody, None, max_body=_MAX_BODY, raw=True)
    async def call_model(call: Call[ModelBody]) -> Answer:
        """One model call: checked, paid, scanned again, forwarded."""
        return await _serve(call, api)


for _api in APIS:
    _add(_api)


async def _serve(call: Call[ModelBody], api: Api) -> Answer:
    identity, runtime = caller(call), call.runtime
    headers = _headers(call.request)
    with runtime.tracing.served(f"model/{api.name}", identity.tenant, traceparent(call)):
        body = await read_body(call.request, _MAX_BODY, ("application/json",))
        headers = _of_this_text(headers, body)
        request = parse_request(api, parse_json(body), len(body))
        prepared = await runtime.models.prepare(identity, headers, request)
        if prepared.request.stream:
            return await _stream(call, prepared)
        return web.Response(body=await runtime.forwarder.whole(prepared), content_type="application/json")


@TABLE.get("/guard/v1/models", Nothing, ModelList)
async def models(call: Call[Nothing]) -> Answer:
    """The one alias that agents use, with the APIs it can be called in; which model serves it is decided
    per call.
    """
    apis = list(call.runtime.models.apis(caller(call)))
    entry: type_json = {
        "id": "cadre-work",
        "object": "model",
        "created": 0,
        "owned_by": "cadre",
        "apis": apis,
    }
    return ModelList(data=(entry,))


async def _stream(call: Call[ModelBody], prepared: PreparedCall) -> web.StreamResponse:
    kind = "application/x-ndjson" if prepared.request.api.lines else "text/event-stream"
    response = web.StreamResponse(headers={"Content-Type": kind, "Cache-Control": "no-store"})
    await response.prepare(call.request)
    gauge = call.runtime.metrics.streams.labels("model")
    with gauge.track_inprogress():
        await call.runtime.forwarder.stream(prepared, response)
    await response.write_eof()
    return response


def _headers(request: web.Request) -> CallHeaders:
    fence = _required(request, "Cadre-Fence")
    if not fence.isdigit():
        raise BadRequest("Cadre-Fence: must be a number", "send the fence of the lease")
    return CallHeaders(
        task_id=_required(request, "Cadre-Task"),
        session_id=_required(request, "Cadre-Session"),
        fence=int(fence),
        purpose=request.headers.get("Cadre-Purpose", "work"),
        call_id=_required(request, "Cadre-Call-Id"),
    )


def _of_this_text(headers: CallHeaders, body: bytes) -> CallHeaders:
    """A call id is good for one text: under a reused one another text would be billed to nobody."""
    digest = hashlib.sha256(headers.call_id.encode("utf-8", "surrogateescape") + b"\x00" + body)
    return replace(headers, call_id=digest.hexdigest()[:32])


def _required(request: web.Request, name: str) -> str:
    value = request.headers.get(name, "")
    if not 1 <= len(value) <= 128:
        raise BadRequest(f"{name}: the header is missing or too long", f"send the header {name}")
    return value
