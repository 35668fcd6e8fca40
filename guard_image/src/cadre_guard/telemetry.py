"""Spans of a turn, joined to the task's trace; attributes are counts, kinds and reasons, never a text."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from typing_extensions import override

from cadre_guard.controller.client import ControllerClient
from cadre_guard.controller.problems import AWAY_ERRORS
from cadre_guard.errors import GuardError
from cadre_guard.turn.turn import Turn

log = logging.getLogger(__name__)

_LIMIT = 5000
_EVERY_SECONDS = 1.0
_propagator = TraceContextTextMapPropagator()


class SpanBuffer(SpanExporter):
    """Finished spans until they are sent; the oldest go when there are too many."""

    def __init__(self) -> None:
        self.spans: deque[ReadableSpan] = deque(maxlen=_LIMIT)

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS

    def take(self) -> bytes:
        """All of them as an OTLP request; nothing when there are none."""
        spans = [self.spans.popleft() for _ in range(len(self.spans))]
        return encode_spans(spans).SerializeToString() if spans else b""


class Telemetry:
    """Our tracer and its way to the controller (OTLP/HTTP on the guard port)."""

    def __init__(self, controller: ControllerClient, agent: str) -> None:
        self._controller = controller
        self._buffer = SpanBuffer()
        resource = Resource({"service.name": "cadre-guard", "cadre.agent": agent})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(SimpleSpanProcessor(self._buffer))
        self._tracer = self._provider.get_tracer("cadre_guard")

    @contextmanager
    def turn(self, turn: Turn) -> Iterator[None]:
        """The span of a whole turn, child of the task's; later spans of the turn hang below it."""
        parent = _propagator.extract({"traceparent": turn.lease.traceparent}, Context())
        with self._span("turn", parent) as span:
            span.set_attribute("cadre.task", turn.lease.task_id)
            span.set_attribute("cadre.attempt", turn.lease.attempt)
            turn.trace = set_span_in_context(span, Context())
            yield

    @contextmanager
    def span(self, name: str, turn: Turn, **attributes: str | int) -> Iterator[dict[str, str]]:
        """A step of a turn; gives the headers that carry it on."""
        with self._span(name, turn.trace or Context()) as span:
            for key, value in attributes.items():
                span.set_attribute(f"cadre.{key}", value)
            carrier: dict[str, str] = {}
            _propagator.inject(carrier, set_span_in_context(span, Context()))
            yield carrier

    @contextmanager
    def _span(self, name: str, parent: Context) -> Iterator[Span]:
        # exceptions are not recorded by the library: their text could quote what was said
        span = self._tracer.start_span(name, parent, record_exception=False, set_status_on_exception=False)
        try:
            yield span
        except GuardError as error:
            span.set_status(Status(StatusCode.ERROR, error.reason))
            raise
        finally:
            span.end()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Send what is there; spans that cannot be sent are lost, which only a trace notices."""
        body = self._buffer.take()
        if not body:
            return
        try:
            await self._controller.export_spans(body)
        except (GuardError, *AWAY_ERRORS):
            log.warning("spans not sent")
