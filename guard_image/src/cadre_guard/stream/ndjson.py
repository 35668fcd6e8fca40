"""Newline-delimited JSON, read in any chunking and bounded."""

from __future__ import annotations

from cadre_guard.stream.errors import StreamError
from cadre_guard.stream.sse import SseEvent

MAX_LINE_BYTES = 4 * 1024 * 1024


class NdjsonParser:
    """Bytes in, the text of complete lines out. Raises StreamError (EventTooLarge, BadEncoding)."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max = max_line_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """The lines completed by this piece, blank ones left out."""
        searched = len(self._buffer)
        self._buffer += data
        if self._buffer.find(b"\n", searched) < 0:
            self._check(len(self._buffer))
            return []
        *complete, rest = self._buffer.split(b"\n")
        self._buffer = bytearray(rest)
        self._check(max(map(len, [*complete, rest])))
        return [line for line in map(_decode, complete) if line]

    def close(self) -> list[str]:
        """A last line that had no line end."""
        rest, self._buffer = self._buffer, bytearray()
        line = _decode(rest)
        return [line] if line else []

    def _check(self, size: int) -> None:
        if size > self._max:
            raise StreamError("EventTooLarge", f"a line exceeds {self._max} bytes")


class NdjsonFraming:
    """Lines as events without a name."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._parser = NdjsonParser(max_bytes)

    def feed(self, data: bytes) -> list[SseEvent]:
        """The lines completed by this piece."""
        return [SseEvent(line) for line in self._parser.feed(data)]

    def close(self) -> list[SseEvent]:
        """A last line that had no line end."""
        return [SseEvent(line) for line in self._parser.close()]

    @staticmethod
    def encode(event: SseEvent) -> bytes:
        """The line as bytes; comments have no form here."""
        return event.data.encode() + b"\n" if event.comment is None else b""


def _decode(line: bytearray) -> str:
    try:
        return line.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise StreamError("BadEncoding", "not UTF-8") from error
