"""Server-sent events, read and written (WHATWG HTML, 9.2): any chunking, any line end, bounded."""

from __future__ import annotations

from dataclasses import dataclass

from cadre_guard.stream.errors import StreamError

MAX_EVENT_BYTES = 4 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event, or one comment line (a keep-alive), which is passed on at once."""

    data: str = ""
    event: str = ""
    id: str | None = None
    retry: str | None = None
    comment: str | None = None


class SseParser:
    """Bytes in, events out. Raises StreamError (EventTooLarge, BadEncoding)."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._first = True
        self._size = 0
        self._fields: dict[str, str] = {}
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events completed by this piece."""
        self._buffer += data
        events = []
        while (line := self._next_line(final=False)) is not None:
            events += self._take(line)
        if self._size + len(self._buffer) > self._max:
            raise StreamError("EventTooLarge", f"an event exceeds {self._max} bytes")
        return events

    def close(self) -> list[SseEvent]:
        """What the end of the stream leaves: an event whose closing blank line never came."""
        events = []
        while (line := self._next_line(final=True)) is not None:
            events += self._take(line)
        return events + self._take("")

    def _next_line(self, *, final: bool) -> str | None:
        end, after = self._line_end(final=final)
        if end < 0:
            return None
        raw = bytes(self._buffer[:end])
        del self._buffer[:after]
        self._searched = 0
        if self._first:
            raw, self._first = raw.removeprefix(_BOM), False
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise StreamError("BadEncoding", "not UTF-8") from error

    def _line_end(self, *, final: bool) -> tuple[int, int]:
        """(end of the line, start of the next); (-1, 0) while the line is incomplete."""
        buffer = self._buffer
        ends = [i for i in (buffer.find(b"\n", self._searched), buffer.find(b"\r", self._searched)) if i >= 0]
        if not ends:
            self._searched = len(buffer)
            return (len(buffer), len(buffer)) if final and buffer else (-1, 0)
        end = min(ends)
        if buffer[end] == 0x0A:
            return end, end + 1
        if end + 1 == len(buffer) and not final:
            self._searched = end
            return -1, 0
        return end, end + 2 if buffer[end + 1 : end + 2] == b"\n" else end + 1

    def _take(self, line: str) -> list[SseEvent]:
        if not line:
            return self._dispatch()
        self._size += len(line)
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not name:
            self._size -= len(line)
            return [SseEvent(comment=value)]
        if name == "data":
            self._data.append(value)
        elif name in ("event", "id", "retry"):
            self._fields[name] = value
        return []

    def _dispatch(self) -> list[SseEvent]:
        data, fields = self._data, self._fields
        self._data, self._fields, self._size = [], {}, 0
        if not data:
            return []
        return [SseEvent("\n".join(data), fields.get("event", ""), fields.get("id"), fields.get("retry"))]


def encode_event(event: SseEvent) -> bytes:
    """The event as bytes, `\\n` as line end."""
    if event.comment is not None:
        return f": {event.comment}\n\n".encode()
    head = [("event", event.event or None), ("id", event.id), ("retry", event.retry)]
    lines = [f"{name}: {value}" for name, value in head if value is not None]
    lines += [f"data: {line}" for line in event.data.split("\n")]
    return ("\n".join(lines) + "\n\n").encode()
