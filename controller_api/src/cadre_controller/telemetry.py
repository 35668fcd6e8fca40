"""Traces: the controller's own spans and those its guards send end in one table, joined by W3C trace context.

Attributes name things of the chart, counts and outcomes. A user's value is never one: what guards send is
reduced to known names and short texts before it is stored.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from opentelemetry import context as otel_context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, Status, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from typing_extensions import override

from cadre_controller.errors import CadreError
from cadre_controller.gateways.model.call import PreparedCall
from cadre_controller.gateways.model.select import Candidate
from cadre_controller.services.models import HeldTask, Span
from cadre_controller.services.spans import SpanService

_LOG = logging.getLogger(__name__)
_TENANT = "cadre.tenant"
_PROPAGATOR = TraceContextTextMapPropagator()
_FLUSH_SECONDS = 0.5
_MAX_HELD = 10_000
_LEFT = (asyncio.CancelledError, ConnectionError)
"""How a request ends whose client has gone (a provider that goes is a fault of its own): no error of ours."""


class Tracing:
    """Starts spans, and keeps what ended until `run` has stored it."""

    def __init__(self, spans: SpanService, otlp_endpoint: str = "") -> None:
        self._spans = spans
        self._ended: deque[tuple[str, Span]] = deque(maxlen=_MAX_HELD)
        resource = Resource.create({"service.name": "cadre-controller"})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(_Keep(self._ended))
        if otlp_endpoint:
            url = f"{otlp_endpoint.rstrip('/')}/v1/traces"
            self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
        self._tracer = self._provider.get_tracer("cadre_controller")

    @contextmanager
    def span(
        self,
        name: str,
        tenant: str,
        traceparent: str = "",
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, str] | None = None,
    ) -> Iterator[OtelSpan]:
        """A span; with `traceparent` it joins that trace, else it continues the current one."""
        parent = _PROPAGATOR.extract({"traceparent": traceparent}) if traceparent else None
        given = {_TENANT: tenant, **(attributes or {})}
        span = self._tracer.start_span(
            name, context=parent or otel_context.get_current(), kind=kind, attributes=given
        )
        token = otel_context.attach(set_span_in_context(span))
        try:
            yield span
        except _LEFT:
            raise
        except BaseException as error:
            reason = error.reason if isinstance(error, CadreError) else type(error).__name__
            span.set_status(Status(StatusCode.ERROR, reason))
            raise
        finally:
            otel_context.detach(token)
            span.end()

    @contextmanager
    def served(self, name: str, tenant: str, traceparent: str) -> Iterator[None]:
        """The span of a request that says which trace it belongs to; no span for one that does not."""
        if not traceparent:
            yield
            return
        with self.span(name, tenant, traceparent, SpanKind.SERVER):
            yield

    @contextmanager
    def model_call(self, call: PreparedCall, option: Candidate) -> Iterator[None]:
        """The span of one provider's attempt at a call (names after the GenAI semantic conventions)."""
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": option.provider.key,
            "gen_ai.request.model": option.model,
            "cadre.purpose": call.headers.purpose,
        }
        with self._outgoing(f"chat {option.model}", call.held, attributes):
            yield

    @contextmanager
    def tool_call(self, held: HeldTask, target: str) -> Iterator[None]:
        """The span of one tool call."""
        with self._outgoing(f"execute_tool {target}", held, {"cadre.tool": target}):
            yield

    @contextmanager
    def _outgoing(self, name: str, held: HeldTask, attributes: Mapping[str, str]) -> Iterator[None]:
        """Part of the request's trace, or of the task's where the request named none."""
        traceparent = "" if current_trace_id() else held.traceparent
        given = {"cadre.task": held.id, **attributes}
        with self.span(name, held.tenant, traceparent, SpanKind.CLIENT, given):
            yield

    async def run(self) -> None:
        """Store ended spans until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Store what has ended; spans are the first thing to lose when the database is away."""
        by_tenant: dict[str, list[Span]] = {}
        while self._ended:
            tenant, span = self._ended.popleft()
            by_tenant.setdefault(tenant, []).append(span)
        for tenant, spans in by_tenant.items():
            try:
                await self._spans.insert(tenant, spans)
            except CadreError as error:
                _LOG.warning("spans lost", extra={"count": len(spans), "reason": error.reason})

    async def close(self) -> None:
        """Store the rest and stop the exporters."""
        with contextlib.suppress(Exception):
            await self.flush()
        await asyncio.to_thread(self._provider.shutdown)


def current_traceparent() -> str:
    """The W3C `traceparent` of the current span, empty without one."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent", "")


def current_trace_id() -> str:
    """The current trace's id in hex, empty without one."""
    context = get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else ""


class _Keep(SpanProcessor):
    def __init__(self, ended: deque[tuple[str, Span]]) -> None:
        self._ended = ended

    @override
    def on_end(self, span: ReadableSpan) -> None:
        attributes = dict(span.attributes or {})
        tenant = str(attributes.pop(_TENANT, ""))
        if tenant:
            self._ended.append((tenant, _stored(span, attributes)))


def _stored(span: ReadableSpan, attributes: Mapping[str, object]) -> Span:
    return Span(
        trace_id=format(span.context.trace_id, "032x"),
        span_id=format(span.context.span_id, "016x"),
        parent_id=format(span.parent.span_id, "016x") if span.parent else "",
        name=span.name,
        service="cadre-controller",
        start=_time(span.start_time or 0),
        end=_time(span.end_time or 0),
        status=_status(span.status.status_code.value),
        attributes=dict(attributes),
    )


def _time(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def _status(code: int) -> str:
    return {0: "Unset", 1: "Ok", 2: "Error"}.get(code, "Unset")
