"""A trace: the spans of guard, gateway and controller, joined."""

from cadre_controller.errors import NotFound
from cadre_controller.routes.models import SpanBody, TraceBody
from cadre_controller.routes.public.reader import reader
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table
from cadre_controller.services.models import Span

TABLE = Table(Scope.PERSON)


@TABLE.get("/api/v1/traces/{traceId}", Nothing, TraceBody)
async def trace(call: Call[Nothing]) -> Answer:
    """All spans of a trace in order of their start."""
    await call.runtime.tracing.flush()
    spans = await call.runtime.services.spans.trace(reader(call).actor.tenant, call.path("traceId"))
    if not spans:
        raise NotFound("NoTrace", f"there is no trace {call.path('traceId')}", "use the traceId of a task")
    return TraceBody(items=tuple(map(_span, sorted(spans, key=lambda span: span.start))))


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
