"""Errors in the caller's own wire format: what its SDK turns into its own exception."""

from __future__ import annotations

from typing import Protocol

from typing_extensions import override

from cadre_detect.jsonwalk import Json
from cadre_guard.stream.ndjson import NdjsonFraming
from cadre_guard.stream.sse import SseEvent, encode_event
from cadre_guard.wire.body import encode_body

_ANTHROPIC_TYPES = {400: "invalid_request_error", 413: "request_too_large", 415: "invalid_request_error"}
_GOOGLE_STATUSES = {400: "INVALID_ARGUMENT", 413: "INVALID_ARGUMENT", 415: "INVALID_ARGUMENT"}


class Refusals(Protocol):
    """How one family of clients is told no."""

    def body(self, status: int, reason: str, message: str) -> Json:
        """Of a whole answer."""
        ...

    def frame(self, reason: str, message: str) -> bytes:
        """The last frame of a stream that already began."""
        ...


class OpenAIRefusals:
    """Chat completions, completions, embeddings, responses."""

    def body(self, status: int, reason: str, message: str) -> Json:
        """`error.code` is the reason."""
        return {"error": {"message": message, "type": "cadre_guard", "code": reason, "param": None}}

    def frame(self, reason: str, message: str) -> bytes:
        """As an event without a name."""
        return encode_event(SseEvent(encode_body(self.body(403, reason, message)).decode()))


class ResponsesRefusals(OpenAIRefusals):
    """Responses name their events."""

    @override
    def frame(self, reason: str, message: str) -> bytes:
        """As an `error` event."""
        event: Json = {"type": "error", "code": reason, "message": message, "param": None}
        return encode_event(SseEvent(encode_body(event).decode(), "error"))


class AnthropicRefusals:
    """Messages. The reason stands in front of the text: `error.type` is a closed list."""

    def body(self, status: int, reason: str, message: str) -> Json:
        """`error.type` follows from the status."""
        kind = _ANTHROPIC_TYPES.get(status, "permission_error")
        return {"type": "error", "error": {"type": kind, "message": f"{reason}: {message}"}}

    def frame(self, reason: str, message: str) -> bytes:
        """As an `error` event."""
        return encode_event(SseEvent(encode_body(self.body(403, reason, message)).decode(), "error"))


class OllamaRefusals:
    """One string."""

    def body(self, status: int, reason: str, message: str) -> Json:
        """`error` holds reason and text."""
        return {"error": f"{reason}: {message}"}

    def frame(self, reason: str, message: str) -> bytes:
        """As a line."""
        return NdjsonFraming.encode(SseEvent(encode_body(self.body(403, reason, message)).decode()))


class GeminiRefusals:
    """google.rpc.Status."""

    def body(self, status: int, reason: str, message: str) -> Json:
        """The reason is in `details`, and in front of the text."""
        details: Json = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
        name = _GOOGLE_STATUSES.get(status, "PERMISSION_DENIED")
        return {
            "error": {
                "code": status,
                "message": f"{reason}: {message}",
                "status": name,
                "details": details,
            }
        }

    def frame(self, reason: str, message: str) -> bytes:
        """As an event without a name."""
        return encode_event(SseEvent(encode_body(self.body(403, reason, message)).decode()))
