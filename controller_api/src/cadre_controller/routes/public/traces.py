"""A trace: the spans of guard, gateway and controller, joined."""

import contextlib

from cadre_controller.auth.visibility import may_audit
from cadre_controller.errors import NotFound
from cadre_controller.routes.models import SpanBody, TraceBody
from cadre_controller.routes.public.reader import Reader, reader
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table
from cadre_controller.services.models import Span

TABLE = Table(Scope.PERSON)


@TABLE.get("/api/v1/traces/{traceId}", Nothing, TraceBody)
async def trace(call: Call[Nothing]) -> Answer:
    """All spans of a trace in order of their start."""
    await call.runtime.tracing.flush()
    who, trace_id = reader(call), call.path("traceId")
    spans = await call.runtime.services.spans.trace(who.actor.tenant, trace_id)
    if not spans or not await _sees(who, trace_id):
        raise NotFound("NoTrace", f"there is no trace {call.path('traceId')}", "use the traceId of a task")
    return TraceBody(items=tuple(map(_span, sorted(spans, key=lambda span: span.start))))


async def _sees(who: Reader, trace_id: str) -> bool:
    """Whether the person may see a task of the trace, or the whole chain."""
    if may_audit(who.chart.snapshot, who.actor):
        return True
    for task_id in await who.runtime.services.tasks.of_trace(who.actor.tenant, trace_id):
        with contextlib.suppress(NotFound):
            await who.task(task_id)
            return True
    return False


def _span(span: Span) -> SpanBody:
    return SpanBody(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        name=span.name,
        service=span.service,
        start=span.start,
        end=span.end,
        duration_ms=(span.end - span.start).total_seconds() * 1000,
        status=span.status,
        attributes=dict(span.attributes),
    )
