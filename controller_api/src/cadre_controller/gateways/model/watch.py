"""Reads a provider's stream as it passes: lets whole, valid frames through, notes usage and end.

The bytes stay as they came; what is held back is the unfinished rest of a frame, so that a cut stream never
leaves half a frame at the reader.
"""

import json

from cadre_controller.gateways.model.apis import CHAT, Api
from cadre_controller.gateways.model.faults import ModelFault
from cadre_controller.gateways.model.reading import TokenUsage

_MAX_EVENT_BYTES = 4 * 1024 * 1024
_ENDS = (b"\r\n\r\n", b"\n\n", b"\r\r")
_LINE_ENDS = (b"\n",)


class StreamWatch:
    """`feed(bytes) -> bytes` for one stream: server-sent events, or lines of JSON."""

    def __init__(self, api: Api = CHAT) -> None:
        self._reader = api.reader()
        self._lines = api.lines
        self._held = b""

    @property
    def complete(self) -> bool:
        """The model said that it had finished."""
        return self._reader.complete

    @property
    def started(self) -> bool:
        """The model said something."""
        return self._reader.started

    @property
    def usage(self) -> TokenUsage | None:
        """What the call used, once the provider said so."""
        return self._reader.usage

    @property
    def output_chars(self) -> int:
        """A measure of what came, for when the provider says nothing."""
        return self._reader.output_chars

    @property
    def finish_reason(self) -> str:
        """Why the model stopped."""
        return self._reader.finish_reason

    def feed(self, chunk: bytes) -> bytes:
        """The bytes of all frames that are whole now; raises ModelFault(ModelGarbage, ModelError)."""
        self._held += chunk
        ends = _LINE_ENDS if self._lines else _ENDS
        end = max((at + len(mark) for mark in ends if (at := self._held.rfind(mark)) >= 0), default=0)
        whole, self._held = self._held[:end], self._held[end:]
        if len(self._held) > _MAX_EVENT_BYTES:
            raise ModelFault("ModelGarbage", "the model sent an event larger than 4 MiB")
        if not end and not _may_begin(self._held, lines=self._lines):
            raise ModelFault("ModelGarbage", "the model's answer is no event stream")
        for line in whole.splitlines():
            self._line(line)
        return whole

    def finish(self) -> bytes:
        """The end of the stream: a last frame without its line end, or ModelFault(ModelStreamCut,
        ModelGarbage).
        """
        rest, self._held = self._held, b""
        if rest.strip():
            self._last_line(rest)
        if not self.started:
            raise ModelFault("ModelGarbage", "the model's stream was empty")
        if not self.complete:
            raise ModelFault("ModelStreamCut", "the model's stream ended in the middle")
        return rest + (b"\n" if self._lines else b"\n\n") if rest.strip() else b""

    def _last_line(self, rest: bytes) -> None:
        try:
            for line in rest.splitlines():
                self._line(line)
        except ModelFault as fault:
            raise ModelFault(
                "ModelStreamCut", "the model's stream ended in the middle of an event"
            ) from fault

    def _line(self, line: bytes) -> None:
        if self._lines:
            if line.strip():
                self._frame(line)
            return
        if not line or line.startswith((b":", b"event:", b"id:", b"retry:")):
            return
        if not line.startswith(b"data:"):
            raise ModelFault("ModelGarbage", "the model's answer is no event stream")
        data = line[5:].strip()
        if data == b"[DONE]":
            self._reader.done()
        elif data:
            self._frame(data)

    def _frame(self, data: bytes) -> None:
        try:
            frame = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ModelFault("ModelGarbage", "the model sent an event that is not JSON") from error
        if not isinstance(frame, dict):
            raise ModelFault("ModelGarbage", "the model sent an event that is no object")
        if frame.get("error"):
            raise ModelFault("ModelError", "the provider reported an error in the stream")
        self._reader.read(frame)


def check_whole(raw: bytes, api: Api = CHAT) -> TokenUsage | None:
    """What a whole (not streamed) answer used; raises ModelFault(ModelGarbage, ModelError)."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ModelFault("ModelGarbage", "the model's answer is not JSON") from error
    if not isinstance(body, dict):
        raise ModelFault("ModelGarbage", "the model's answer is no JSON object")
    if body.get("error"):
        raise ModelFault("ModelError", "the provider reported an error")
    reader = api.reader()
    reader.read(body)
    if not reader.started:
        raise ModelFault("ModelGarbage", "the model's answer has no choices")
    return reader.usage


def _may_begin(text: bytes, *, lines: bool) -> bool:
    """False as soon as the first line cannot be a frame."""
    head = text.lstrip(b"\r\n\xef\xbb\xbf")[:6]
    fields = (b"{",) if lines else (b"data:", b":", b"event:", b"id:", b"retry:")
    return not head or any(field.startswith(head[: len(field)]) for field in fields)
