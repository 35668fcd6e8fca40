"""What guards report: events, their state, their spans."""

from cadre_api.protocol.base import Message
from cadre_api.protocol.guard import GuardEvents, GuardStatus
from cadre_controller.otlp import spans_of
from cadre_controller.routes.guard.caller import caller
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table, read_body

TABLE = Table(Scope.GUARD)
_PROTOBUF = ("application/x-protobuf",)
_MAX_SPANS_BODY = 4 * 1024 * 1024


class Accepted(Message):
    """How many events were new."""

    accepted: int


@TABLE.post("/guard/v1/events", GuardEvents, Accepted)
async def events(call: Call[GuardEvents]) -> Answer:
    """Facts for the audit and the tasks' stories; repeating one has no effect."""
    accepted = await call.runtime.services.audit.guard_events(caller(call), call.input.events)
    return Accepted(accepted=accepted)


@TABLE.post("/guard/v1/status", GuardStatus, None, status=204, max_body=64 * 1024)
async def status(call: Call[GuardStatus]) -> Answer:
    """What holds on this host and how the agent is."""
    await call.runtime.services.bundles.status(caller(call), call.input)
    return None


@TABLE.post(
    "/guard/v1/otlp/v1/traces", Nothing, None, max_body=_MAX_SPANS_BODY, content_types=_PROTOBUF, raw=True
)
async def traces(call: Call[Nothing]) -> Answer:
    """Spans as OTLP/HTTP protobuf; only known attributes are kept."""
    identity = caller(call)
    spans = spans_of(await read_body(call.request, _MAX_SPANS_BODY, _PROTOBUF))
    if spans:
        await call.runtime.services.spans.insert(identity.tenant, spans)
    return None
