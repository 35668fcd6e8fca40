"""Spans that guards send (OTLP/HTTP, protobuf), reduced to what may be stored."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

from cadre_controller.refusals import BadRequest
from cadre_controller.services.models import Span

_ALLOWED = ("cadre.", "gen_ai.", "http.request.method", "http.response.status_code", "mcp.", "error.type")
_MAX_TEXT = 128
_MAX_SPANS = 2000
_STATUS = {0: "Unset", 1: "Ok", 2: "Error"}


def spans_of(body: bytes) -> tuple[Span, ...]:
    """The spans of an export request; raises BadRequest."""
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise BadRequest("the body is no OTLP export request", "send OTLP/HTTP protobuf") from error
    spans = tuple(_spans(request))
    if len(spans) > _MAX_SPANS:
        raise BadRequest(f"more than {_MAX_SPANS} spans in one request", "export smaller batches")
    return spans


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        service = _service(resource.resource.attributes)
        for scope in resource.scope_spans:
            yield from (_span(span, service) for span in scope.spans if span.trace_id and span.span_id)


def _span(span: ProtoSpan, service: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name[:_MAX_TEXT],
        service=service,
        start=_time(span.start_time_unix_nano),
        end=_time(span.end_time_unix_nano),
        status=_STATUS.get(span.status.code, "Unset"),
        attributes={
            item.key: _value(item.value) for item in span.attributes if item.key.startswith(_ALLOWED)
        },
    )


def _service(attributes: Iterable[KeyValue]) -> str:
    names = (str(_value(item.value)) for item in attributes if item.key == "service.name")
    return next(names, "cadre-guard")


def _value(value: AnyValue) -> str | int | float | bool:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value[:_MAX_TEXT]
    if kind == "bool_value":
        return value.bool_value
    if kind == "int_value":
        return value.int_value
    return value.double_value if kind == "double_value" else ""


def _time(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
