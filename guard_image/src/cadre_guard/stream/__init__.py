"""Sans-I/O machines between a model's byte stream and its agent: no sockets, no clock."""

from cadre_guard.stream.errors import StreamError
from cadre_guard.stream.lane import RestoreLane
from cadre_guard.stream.ndjson import NdjsonParser
from cadre_guard.stream.sse import SseEvent, SseParser, encode_event

__all__ = ["NdjsonParser", "RestoreLane", "SseEvent", "SseParser", "StreamError", "encode_event"]
