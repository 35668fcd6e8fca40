"""Anthropic messages as a stream: one lane per content block and kind, emptied before the block stops."""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import override

from cadre_detect.jsonwalk import Json
from cadre_detect.restore import restore_json
from cadre_guard.stream.lane import SealedLane
from cadre_guard.stream.sse import MAX_EVENT_BYTES
from cadre_guard.wire.anthropic_messages import SEALED
from cadre_guard.wire.body import mutable, number_of, text_of
from cadre_guard.wire.machine import LaneKey, StreamRestorer
from cadre_guard.wire.record import ToolCallIds

_MEMBERS = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
}
_SEALED_DELTAS = frozenset({"thinking_delta", "signature_delta"})
_ENDS = frozenset({"message_delta", "message_stop", "error"})


class MessagesStreamRestorer(StreamRestorer):
    """`POST /v1/messages` with `stream`."""

    def __init__(
        self,
        values: Mapping[str, str],
        ids: ToolCallIds | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        super().__init__(values, ids, max_event_bytes)
        self._signatures: dict[int, str] = {}

    @override
    def _frame(self, frame: dict[str, Json]) -> dict[str, Json]:
        index = number_of(frame.get("index"), 0)
        match frame.get("type"):
            case "content_block_start":
                frame["content_block"] = self._start(index, mutable(frame.get("content_block")))
            case "content_block_delta":
                frame["delta"] = self._delta(index, mutable(frame.get("delta")))
            case "content_block_stop":
                self._recorder.seal(self._signatures.pop(index, ""))
                self._flush(index)
            case kind:
                self._note(text_of(kind), frame)
        return frame

    def _start(self, index: int, block: dict[str, Json]) -> dict[str, Json]:
        kind = text_of(block.get("type"))
        if kind in SEALED:
            self._recorder.seal(block.get("data"))
            return block
        if not kind.endswith("tool_use"):
            self._recorder.text(text_of(block.get("text")))
            return mutable(restore_json(block, self._values))
        unique = self._recorder.open_call(0, index, text_of(block.get("id")))
        self._recorder.call(0, index, text_of(block.get("name")), "")
        return block | {"id": unique, "input": restore_json(block.get("input"), self._values)}

    def _delta(self, index: int, delta: dict[str, Json]) -> dict[str, Json]:
        kind = text_of(delta.get("type"))
        member = _MEMBERS.get(kind, "")
        text = delta.get(member)
        if not isinstance(text, str):
            return mutable(restore_json(delta, self._values))
        if kind in _SEALED_DELTAS:
            if kind == "signature_delta":
                self._signatures[index] = self._signatures.get(index, "") + text
            else:
                self._only(member, text, SealedLane(self._values), recorded=False)
            return delta
        lane = self._lane((index, kind), arguments=kind == "input_json_delta")
        if kind == "text_delta":
            self._recorder.text(text)
            self._only(member, text, lane)
        else:
            self._recorder.open_call(0, index, "")
            self._recorder.call(0, index, "", text)
            self._only(member, text, lane, (0, index))
        return delta | {member: lane.feed(text)}

    def _note(self, kind: str, frame: dict[str, Json]) -> None:
        usage = frame.get("usage", mutable(frame.get("message")).get("usage"))
        if isinstance(usage, Mapping):
            self._recorder.usage = {**(self._recorder.usage or {}), **usage}
        if kind == "error":
            self._recorder.fail(frame.get("error"))
        if kind == "message_delta":
            reason = text_of(mutable(frame.get("delta")).get("stop_reason"))
            self._recorder.finish_reason = reason or self._recorder.finish_reason
        self._recorder.ended = self._recorder.ended or kind == "message_stop"
        if kind in _ENDS:
            self._flush()

    @override
    def _remainder(self, key: LaneKey, text: str) -> Json:
        index, kind = key
        delta: Json = {"type": kind, _MEMBERS[str(kind)]: text}
        return {"type": "content_block_delta", "index": index, "delta": delta}

    @override
    def _name(self, frame: Json) -> str:
        return "content_block_delta"
