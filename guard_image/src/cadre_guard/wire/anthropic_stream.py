"""Anthropic messages as a stream: one lane per content block, emptied before the block stops."""

from __future__ import annotations

from collections.abc import Mapping

from cadre_detect.jsonwalk import Json
from cadre_detect.restore import restore_json
from cadre_guard.stream.errors import StreamError
from cadre_guard.stream.lane import JsonRestoreLane, RestoreLane
from cadre_guard.stream.sse import MAX_EVENT_BYTES, SseEvent, SseParser, encode_event
from cadre_guard.wire.anthropic_messages import SEALED
from cadre_guard.wire.body import encode_body, mutable, number_of, parse_frame, text_of
from cadre_guard.wire.record import CompletionRecord, Recorder, ToolCallIds

_TEXT, _JSON = ("text_delta", "text"), ("input_json_delta", "partial_json")


class MessagesStreamRestorer:
    """Bytes of the model's stream in, bytes for the agent out. Raises StreamError."""

    def __init__(
        self,
        values: Mapping[str, str],
        ids: ToolCallIds | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        """`values`: tokens to values of this session, may grow."""
        self._values = values
        self._parser = SseParser(max_event_bytes)
        self._recorder = Recorder(ids)
        self._lanes: dict[int, tuple[str, RestoreLane]] = {}

    @property
    def record(self) -> CompletionRecord:
        """What is known of the call by now."""
        return self._recorder.record()

    def feed(self, data: bytes) -> bytes:
        """The restored events this piece completes."""
        return b"".join(self._event(event) for event in self._parser.feed(data))

    def finish(self) -> bytes:
        """The connection ended: what was still held back."""
        try:
            rest = b"".join(self._event(event) for event in self._parser.close())
        except StreamError:
            rest = b""
        return rest + b"".join(self._flushed(index) for index in list(self._lanes))

    def _event(self, event: SseEvent) -> bytes:
        if event.comment is not None:
            return encode_event(event)
        frame = parse_frame(event.data)
        before = b""
        match frame.get("type"):
            case "content_block_start":
                frame["content_block"] = self._start(_index(frame), mutable(frame.get("content_block")))
            case "content_block_delta":
                frame["delta"] = self._delta(_index(frame), mutable(frame.get("delta")))
            case "content_block_stop":
                before = self._flushed(_index(frame))
            case _:
                before = self._note(frame)
        return before + encode_event(
            SseEvent(encode_body(frame).decode(), event.event, event.id, event.retry)
        )

    def _start(self, index: int, block: dict[str, Json]) -> dict[str, Json]:
        kind = block.get("type")
        if kind in SEALED:
            return block
        name, key = _JSON if kind == "tool_use" else _TEXT
        self._lanes[index] = (
            name,
            JsonRestoreLane(self._values) if kind == "tool_use" else RestoreLane(self._values),
        )
        if kind != "tool_use":
            self._recorder.text(text_of(block.get(key)))
            return mutable(restore_json(block, self._values))
        unique = self._recorder.open_call(0, index, text_of(block.get("id")))
        self._recorder.call(0, index, text_of(block.get("name")), "")
        return block | {"id": unique, "input": restore_json(block.get("input"), self._values)}

    def _delta(self, index: int, delta: dict[str, Json]) -> dict[str, Json]:
        kind = text_of(delta.get("type"))
        known = self._lanes.get(index)
        for name, key in (_TEXT, _JSON):
            if kind == name and known is not None and known[0] == name:
                text = text_of(delta.get(key))
                if name == "text_delta":
                    self._recorder.text(text)
                else:
                    self._recorder.call(0, index, "", text)
                return delta | {key: known[1].feed(text)}
        return delta

    def _note(self, frame: dict[str, Json]) -> bytes:
        usage = frame.get("usage", mutable(frame.get("message")).get("usage"))
        if isinstance(usage, Mapping):
            self._recorder.usage = {**(self._recorder.usage or {}), **usage}
        if frame.get("type") == "error":
            self._recorder.fail(frame.get("error"))
        if frame.get("type") == "message_delta":
            reason = text_of(mutable(frame.get("delta")).get("stop_reason"))
            self._recorder.finish_reason = reason or self._recorder.finish_reason
        self._recorder.ended = self._recorder.ended or frame.get("type") == "message_stop"
        ends = frame.get("type") in ("message_delta", "message_stop", "error")
        return b"".join(self._flushed(index) for index in list(self._lanes)) if ends else b""

    def _flushed(self, index: int) -> bytes:
        name, lane = self._lanes.pop(index, ("", None))
        rest = lane.flush() if lane else ""
        if not rest:
            return b""
        key = _TEXT[1] if name == _TEXT[0] else _JSON[1]
        frame: Json = {"type": "content_block_delta", "index": index, "delta": {"type": name, key: rest}}
        return encode_event(SseEvent(encode_body(frame).decode(), "content_block_delta"))


def _index(frame: Mapping[str, Json]) -> int:
    return number_of(frame.get("index"), 0)
