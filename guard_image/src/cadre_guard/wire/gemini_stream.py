"""Gemini's stream (…:streamGenerateContent?alt=sse): every event is a response of its own.

What a lane holds back becomes a text part ahead of whatever ends the lane: a call, another kind of part, the
finish reason.
"""

from __future__ import annotations

from typing_extensions import override

from cadre_detect.jsonwalk import Json, WalkRules
from cadre_detect.restore import restore_json
from cadre_guard.wire.body import items, mutable, number_of, text_of
from cadre_guard.wire.gemini import note_frame, note_part, parts_of
from cadre_guard.wire.machine import LaneKey, StreamRestorer

_TEXT, _THOUGHT = "text", "thought"
_PART = WalkRules(
    structural=frozenset(
        {("functionCall", "id"), ("functionCall", "name"), ("thoughtSignature",), ("thought_signature",)}
    )
)


class GenerateStreamRestorer(StreamRestorer):
    """One lane for the text and one for the thoughts of each candidate."""

    @override
    def _frame(self, frame: dict[str, Json]) -> dict[str, Json]:
        if "candidates" in frame:
            found = items(frame["candidates"])
            frame["candidates"] = [self._candidate(mutable(c), i, len(found)) for i, c in enumerate(found)]
        note_frame(frame, self._recorder)
        return frame

    def _candidate(self, candidate: dict[str, Json], position: int, of: int) -> dict[str, Json]:
        index = number_of(candidate.get("index"), position)
        content = mutable(candidate.get("content"))
        parts = list(parts_of(content))
        ends = bool(candidate.get("finishReason"))
        only = of == 1 and len(parts) == 1 and not ends
        restored: list[Json] = []
        for part in parts:
            note_part(part, index, self._recorder)
            restored += self._part(part, index, only=only)
        if ends:
            restored += self._rest(index, _THOUGHT) + self._rest(index, _TEXT)
        if not restored and "content" not in candidate:
            return candidate
        return candidate | {"content": content | {"parts": restored}}

    def _part(self, part: dict[str, Json], index: int, *, only: bool) -> list[Json]:
        text = part.get("text")
        if not isinstance(text, str):
            rest = self._rest(index, _THOUGHT) + self._rest(index, _TEXT)
            return [*rest, restore_json(part, self._values, _PART)]
        kind, other = (_THOUGHT, _TEXT) if part.get("thought") else (_TEXT, _THOUGHT)
        rest = self._rest(index, other)
        lane = self._lane((index, kind))
        if only and text and not rest and set(part) <= {"text", "thought"}:
            self._only("text", text, lane, recorded=kind == _TEXT)
        return [*rest, part | {"text": lane.feed(text)}]

    def _rest(self, index: int, kind: str) -> list[Json]:
        text = self._lane((index, kind)).flush()
        return [_text_part(kind, text)] if text else []

    @override
    def _remainder(self, key: LaneKey, text: str) -> Json:
        content: Json = {"parts": [_text_part(text_of(key[1]), text)], "role": "model"}
        return {"candidates": [{"content": content, "index": key[0]}]}


def _text_part(kind: str, text: str) -> Json:
    return {"text": text, "thought": True} if kind == _THOUGHT else {"text": text}
