"""Server-sent events, read and written (WHATWG HTML, 9.2): any chunking, any line end, bounded."""

from __future__ import annotations

import re
from typing import NamedTuple

from cadre_guard.stream.errors import StreamError

MAX_EVENT_BYTES = 4 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")


class SseEvent(NamedTuple):
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
        self._first = True
        self._size = 0
        self._fields: dict[str, str] = {}
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events completed by this piece."""
        return self._read(data, final=False)

    def close(self) -> list[SseEvent]:
        """What the end of the stream leaves: an event whose closing blank line never came."""
        return [*self._read(b"", final=True), *self._dispatch()]

    def _read(self, data: bytes, *, final: bool) -> list[SseEvent]:
        unread = final or self._buffer.endswith(b"\r")
        self._buffer += data
        events: list[SseEvent] = []
        if unread or b"\n" in data or b"\r" in data:
            whole = bytes(self._buffer)
            if b"\r" not in whole and not (self._data or self._fields or self._first or final):
                whole = self._blocks(whole, events)
            for line in self._lines(whole, final=final):
                self._take(line, events)
        if self._size + len(self._buffer) > self._max:
            raise self._too_large()
        return events

    def _blocks(self, whole: bytes, events: list[SseEvent]) -> bytes:
        """Take the complete events, most of which are one line of data; answers what follows them."""
        *blocks, rest = whole.split(b"\n\n")
        for block in blocks:
            if block.startswith(b"data: ") and b"\n" not in block:
                if len(block) > self._max:
                    raise self._too_large()
                events.append(SseEvent(_decode(block[6:])))
                continue
            for line in block.split(b"\n"):
                self._take(_decode(line), events)
            self._take("", events)
        return rest

    def _lines(self, whole: bytes, *, final: bool) -> list[str]:
        """The complete lines; a CR at the end waits for the LF that may follow."""
        waits = not final and whole.endswith(b"\r")
        if b"\r" in whole:
            *lines, rest = _LINE_END.split(whole[:-1] if waits else whole)
        else:
            *lines, rest = whole.split(b"\n")
        if final and rest:
            lines, rest = [*lines, rest], b""
        self._buffer = bytearray(rest + b"\r" if waits else rest)
        if self._first and lines:
            lines[0], self._first = lines[0].removeprefix(_BOM), False
        return [_decode(line) for line in lines]

    def _take(self, line: str, events: list[SseEvent]) -> None:
        if not line:
            events += self._dispatch()
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not name:
            events.append(SseEvent(comment=value))
            return
        self._size += len(line)
        if self._size > self._max:
            raise self._too_large()
        if name == "data":
            self._data.append(value)
        elif name in ("event", "id", "retry"):
            self._fields[name] = value

    def _too_large(self) -> StreamError:
        return StreamError("EventTooLarge", f"an event exceeds {self._max} bytes")

    def _dispatch(self) -> list[SseEvent]:
        data, fields = self._data, self._fields
        self._size = 0
        if fields:
            self._fields = {}
        if not data:
            return []
        self._data = []
        text = data[0] if len(data) == 1 else "\n".join(data)
        if not fields:
            return [SseEvent(text)]
        return [SseEvent(text, fields.get("event", ""), fields.get("id"), fields.get("retry"))]


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise StreamError("BadEncoding", "not UTF-8") from error


def encode_event(event: SseEvent) -> bytes:
    """The event as bytes, `\\n` as line end."""
    if event.comment is not None:
        return f": {event.comment}\n\n".encode()
    head = ""
    if event.event:
        head = f"event: {event.event}\n"
    if event.id is not None:
        head += f"id: {event.id}\n"
    if event.retry is not None:
        head += f"retry: {event.retry}\n"
    data = event.data.replace("\n", "\ndata: ") if "\n" in event.data else event.data
    return f"{head}data: {data}\n\n".encode()


class SseFraming(SseParser):
    """Events in and out."""

    encode = staticmethod(encode_event)
