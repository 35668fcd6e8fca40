"""Replies that nobody restores, passed on as they came, to the byte, and still recorded.

A machine reads along. Its own words replace the stream's only where something other than privacy asks for it:
a tool call whose id is taken, a refusal that the agent is told in another way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from typing_extensions import override

from cadre_guard.stream.errors import StreamError
from cadre_guard.stream.lane import RestoreLane, SealedLane
from cadre_guard.stream.sse import MAX_EVENT_BYTES, SseFraming
from cadre_guard.wire.machine import LaneKey, StreamRestorer
from cadre_guard.wire.record import CompletionRecord, ToolCallIds

_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r(?!\n)|\n\r\n")
_LINE_END = re.compile(rb"\n")


class VerbatimStream:
    """A Restorer that restores nothing."""

    def __init__(self, make: type[StreamRestorer], ids: ToolCallIds | None = None) -> None:
        """`make`: the machine of the stream's format."""
        self._machine = _listening(make)({}, ids)
        self._end = _EVENT_END if make.framing is SseFraming else _LINE_END
        self._buffer = bytearray()
        self._searched = 0

    @property
    def record(self) -> CompletionRecord:
        """What is known of the call by now."""
        return self._machine.record

    @property
    def ended(self) -> bool:
        """The reply is over as its format demands."""
        return self._machine.ended

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped, once it said so."""
        return self._machine.finish_reason

    def feed(self, data: bytes) -> bytes:
        """The events that this piece completes; raises StreamError."""
        self._buffer += data
        said = b"".join([self._told(event) for event in self._complete()])
        if len(self._buffer) > MAX_EVENT_BYTES:
            raise StreamError("EventTooLarge", f"an event exceeds {MAX_EVENT_BYTES} bytes")
        return said

    def finish(self) -> bytes:
        """What no end of an event followed, if it can be read."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        before = self._machine.rewritten
        try:
            said = self._machine.feed(rest) + self._machine.finish()
        except StreamError:
            return b""
        return rest if said and self._machine.rewritten == before else said

    def _complete(self) -> Iterator[bytes]:
        while end := self._end.search(self._buffer, max(0, self._searched - 3)):
            event = bytes(self._buffer[: end.end()])
            del self._buffer[: end.end()]
            self._searched = 0
            yield event
        self._searched = len(self._buffer)

    def _told(self, event: bytes) -> bytes:
        before = self._machine.rewritten
        said = self._machine.feed(event)
        return event if self._machine.rewritten == before else said


def _listening(make: type[StreamRestorer]) -> type[StreamRestorer]:
    """The same machine with lanes that hold nothing back."""

    class Listening(make):  # type: ignore[misc, valid-type]
        @override
        def _lane(self, key: LaneKey, *, arguments: bool = False) -> RestoreLane:
            lane: RestoreLane = self._lanes.setdefault(key, SealedLane(self._values))
            return lane

    return Listening
