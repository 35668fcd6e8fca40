"""Spans of a stand-alone guard, for a collector: which API, how long, how it ended; never a text or a value.

A trace that the client began is continued. The upstream is told nothing of it.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp
from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import INVALID_SPAN, Span, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from cadre_guard.errors import GuardError
from cadre_guard.model.border import BadRequestError
from cadre_guard.telemetry import SpanBuffer

log = logging.getLogger(__name__)
_EVERY_SECONDS = 1.0
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_HEADERS = {"Content-Type": "application/x-protobuf"}
_propagator = TraceContextTextMapPropagator()


class Tracing:
    """Without an endpoint it costs and does nothing."""

    def __init__(self, endpoint: str | None = None) -> None:
        """`endpoint`: OTLP over HTTP, protobuf, such as http://127.0.0.1:4318/v1/traces."""
        self._endpoint = endpoint
        self._buffer = SpanBuffer()
        self._tracer: Tracer | None = None
        if endpoint:
            provider = TracerProvider(
                resource=Resource({"service.name": "cadre-guard"}), shutdown_on_exit=False
            )
            provider.add_span_processor(SimpleSpanProcessor(self._buffer))
            self._tracer = provider.get_tracer("cadre_guard.standalone")

    @contextmanager
    def request(self, name: str, headers: Mapping[str, str]) -> Iterator[Span]:
        """The span of a whole request."""
        parent = _propagator.extract({"traceparent": headers.get("traceparent", "")}, Context())
        with self._span(name, parent) as span:
            yield span

    @contextmanager
    def step(self, name: str) -> Iterator[Span]:
        """Part of the request."""
        with self._span(name, context.get_current()) as span:
            yield span

    @contextmanager
    def _span(self, name: str, parent: Context) -> Iterator[Span]:
        if self._tracer is None:
            yield INVALID_SPAN
            return
        # exceptions are not recorded by the library: their text could quote what was said
        span = self._tracer.start_span(name, parent, record_exception=False, set_status_on_exception=False)
        token = context.attach(set_span_in_context(span))
        try:
            yield span
        except (GuardError, BadRequestError) as error:
            span.set_status(Status(StatusCode.ERROR, error.reason))
            raise
        finally:
            context.detach(token)
            span.end()

    async def run(self, http: aiohttp.ClientSession) -> None:
        """Send until cancelled."""
        while self._endpoint is not None:
            await asyncio.sleep(_EVERY_SECONDS)
            await self.flush(http)

    async def flush(self, http: aiohttp.ClientSession) -> None:
        """Send what is there; what cannot be sent is lost, which only a trace notices."""
        body = self._buffer.take()
        if not body or self._endpoint is None:
            return
        try:
            async with http.post(self._endpoint, data=body, headers=_HEADERS, timeout=_TIMEOUT) as answer:
                answer.raise_for_status()
        except (aiohttp.ClientError, TimeoutError, OSError):
            log.warning("spans not sent")
