"""A dialect: everything that differs between the wire formats a client may speak to its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cadre_detect.jsonwalk import Json, WalkRules
from cadre_guard.wire.record import CompletionRecord, ToolCallIds
from cadre_guard.wire.refusals import Refusals

Body = Mapping[str, Json]
SSE, NDJSON = "text/event-stream", "application/x-ndjson"


class RestoreReply(Protocol):
    """A whole reply, restored, and its record."""

    def __call__(
        self, body: Body, values: Mapping[str, str], ids: ToolCallIds | None = None
    ) -> tuple[dict[str, Json], CompletionRecord]:
        """Raises StreamError for a reply of a wrong shape."""
        ...


class Restorer(Protocol):
    """A streamed reply being restored: bytes of the model's stream in, bytes for the agent out."""

    @property
    def record(self) -> CompletionRecord:
        """What is known of the call by now."""
        ...

    @property
    def ended(self) -> bool:
        """The reply is over as its format demands."""
        ...

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped, once it said so."""
        ...

    def feed(self, data: bytes) -> bytes:
        """What this piece completes; raises StreamError."""
        ...

    def finish(self) -> bytes:
        """What was still held back."""
        ...


class MakeStream(Protocol):
    """A machine for one streamed reply."""

    def __call__(self, values: Mapping[str, str], ids: ToolCallIds | None = None) -> Restorer:
        """`values` may grow while the stream is read."""
        ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """One endpoint's format."""

    api: str
    """Path of the same endpoint at the guard port, below /guard/v1/model/."""
    rules: WalkRules
    check: Callable[[Body], None]
    """Raises DetectionError for what nobody can scan."""
    restore: RestoreReply
    stream: MakeStream | None
    refusals: Refusals
    tools: Callable[[Body], list[str]]
    """Names of the offered tools; "" for one without a readable name."""
    system: Callable[[Body], str]
    """The system prompt."""
    streams_by_default: bool = False
    content_type: str = SSE
    names_model: bool = True
    """Model and streaming are members of the body, not of the path."""
    must_say: bool = True
    """An answer without text and calls is none."""

    def addressed(self, alias: str, body: Body) -> dict[str, Json]:
        """The members that name the model and ask for a stream, as they go up."""
        if not self.names_model:
            return {}
        asked: dict[str, Json] = {"stream": True} if self.streaming(body) else {}
        return {"model": alias, **asked}

    def streaming(self, body: Body) -> bool:
        """Whether the caller wants a stream."""
        if self.stream is None:
            return False
        return body.get("stream") is True or (self.streams_by_default and body.get("stream") is not False)


def as_items(value: Json) -> Sequence[Json]:
    """The elements of an array, or none."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def text_in(value: Json) -> str:
    """A text, or the texts of its parts, joined."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return text_in(value.get("text", value.get("parts")))
    return "".join(text_in(part) for part in as_items(value))


def member(value: Json, *path: str) -> Json:
    """What stands at a path of objects, None when it leads nowhere."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def name_at(tool: Json, *path: str) -> str:
    """A tool's name, "" when it has none that can be read."""
    name = member(tool, *path)
    return name if isinstance(name, str) else ""
