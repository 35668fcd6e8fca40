"""OpenAI responses as a stream: a lane for each text, refusal, summary and argument string of each item.

What a lane holds back leaves as one more delta before the event that says the string is done.
"""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import override

from cadre_detect.jsonwalk import Json
from cadre_detect.restore import restore_json
from cadre_guard.stream.sse import MAX_EVENT_BYTES
from cadre_guard.wire.body import mutable, number_of, text_of
from cadre_guard.wire.machine import LaneKey, StreamRestorer
from cadre_guard.wire.openai_responses import ITEM, note_item, reply_rules, settle
from cadre_guard.wire.record import ToolCallIds

_TEXT, _ARGUMENTS = "response.output_text", "response.function_call_arguments"
_PLACE = ("item_id", "output_index", "content_index", "summary_index")
_RESPONSE = reply_rules("response")


class ResponsesStreamRestorer(StreamRestorer):
    """`POST /v1/responses` with `stream`."""

    def __init__(
        self,
        values: Mapping[str, str],
        ids: ToolCallIds | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        super().__init__(values, ids, max_event_bytes)
        self._places: dict[LaneKey, dict[str, Json]] = {}
        self._calls: dict[int, bool] = {}
        """Calls by output index, and whether their arguments have come."""
        self._number = 0

    @override
    def _frame(self, frame: dict[str, Json]) -> dict[str, Json]:
        kind = text_of(frame.get("type"))
        self._number = number_of(frame.get("sequence_number"), self._number)
        base, _, verb = kind.rpartition(".")
        if verb == "delta" and isinstance(frame.get("delta"), str):
            return self._delta(base, frame)
        if "response" in frame:
            return self._response(frame)
        if kind == "error":
            self._recorder.fail(frame)
            self._flush()
        index = number_of(frame.get("output_index"), 0)
        if verb == "done":
            self._flush(index, base) if base != "response.output_item" else self._flush(index)
        if "item" in frame:
            frame["item"] = self._item(index, mutable(frame["item"]))
        return mutable(restore_json(frame, self._values, ITEM))

    def _item(self, index: int, item: dict[str, Json]) -> dict[str, Json]:
        note_item(item, index, self._recorder, whole=False)
        if text_of(item.get("type")).endswith("_call") and "call_id" in item:
            arguments = text_of(item.get("arguments", item.get("input")))
            self._recorder.call(
                0,
                index,
                "" if index in self._calls else text_of(item.get("name")),
                "" if self._calls.get(index) else arguments,
            )
            self._calls[index] = self._calls.get(index, False) or bool(arguments)
        return item

    def _delta(self, base: str, frame: dict[str, Json]) -> dict[str, Json]:
        text = text_of(frame["delta"])
        index = number_of(frame.get("output_index"), 0)
        key: LaneKey = (index, base, *(str(frame.get(name, "")) for name in _PLACE[2:]))
        if key not in self._places:
            self._places[key] = {name: frame[name] for name in _PLACE if name in frame}
        lane = self._lane(key, arguments="arguments" in base)
        if base == _ARGUMENTS:
            self._calls[index] = True
            self._recorder.open_call(0, index, "")
            self._recorder.call(0, index, "", text)
            self._only("delta", text, lane, (0, index))
        else:
            recorded = base == _TEXT
            if recorded:
                self._recorder.text(text)
            self._only("delta", text, lane, recorded=recorded)
        return frame | {"delta": lane.feed(text)}

    def _response(self, frame: dict[str, Json]) -> dict[str, Json]:
        response = settle(mutable(frame["response"]), self._recorder, whole=False)
        if response.get("status") in ("completed", "incomplete", "failed"):
            self._flush()
        return mutable(restore_json(frame | {"response": response}, self._values, _RESPONSE))

    @override
    def _remainder(self, key: LaneKey, text: str) -> Json:
        return {
            "type": f"{key[1]}.delta",
            **self._places[key],
            "delta": text,
            "sequence_number": self._number,
        }

    @override
    def _name(self, frame: Json) -> str:
        return text_of(mutable(frame).get("type"))
