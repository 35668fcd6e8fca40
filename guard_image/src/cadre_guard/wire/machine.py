"""The one machine behind every streamed format: framing, lanes, the record, and what leaves before what.

A dialect says what a frame means (`_frame`) and how held-back text looks as a frame of its own
(`_remainder`). Text that a lane holds back leaves before whatever ends the lane; nothing is guessed, and a
frame in which nothing was restored leaves as it came.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from cadre_detect.jsonwalk import Json
from cadre_guard.stream.errors import StreamError
from cadre_guard.stream.lane import JsonRestoreLane, RestoreLane
from cadre_guard.stream.ndjson import NdjsonFraming
from cadre_guard.stream.shape import Delta, Shape, decoded, learn
from cadre_guard.stream.sse import MAX_EVENT_BYTES, SseEvent, SseFraming
from cadre_guard.wire.body import encode_body, parse_frame, text_of
from cadre_guard.wire.record import CompletionRecord, Recorder, ToolCallIds

LaneKey = tuple[int | str, ...]
_SHAPES = 4
_LESSONS = 12
"""Shapes are kept while they are met again; a stream whose frames never repeat is not studied for ever."""


class _Known(NamedTuple):
    shape: Shape
    lane: RestoreLane
    call: tuple[int, int] | None
    recorded: bool


class StreamRestorer(ABC):
    """Bytes of the model's stream in, bytes for the agent out. Raises StreamError."""

    framing: type[SseFraming] | type[NdjsonFraming] = SseFraming

    def __init__(
        self,
        values: Mapping[str, str],
        ids: ToolCallIds | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        """`values`: tokens to values of this session, may grow."""
        self._values = values
        self._framing = self.framing(max_event_bytes)
        self._recorder = Recorder(ids)
        self._lanes: dict[LaneKey, RestoreLane] = {}
        self._before: list[Json] = []
        self._news: tuple[Delta, RestoreLane, tuple[int, int] | None, bool] | None = None
        self._known: list[_Known] = []
        self._lessons = _LESSONS
        self._refusals = 0

    @property
    def record(self) -> CompletionRecord:
        """What is known of the call by now."""
        return self._recorder.record()

    @property
    def rewritten(self) -> int:
        """How many frames had to change for another reason than a token: an id, a refusal told elsewhere."""
        return self._recorder.renamed + self._refusals

    @property
    def ended(self) -> bool:
        """The reply is over as its format demands; what follows carries nothing."""
        return self._recorder.ended

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped, once it said so."""
        return self._recorder.finish_reason

    def feed(self, data: bytes) -> bytes:
        """The restored frames this piece completes."""
        return b"".join([self._event(event) for event in self._framing.feed(data)])

    def finish(self) -> bytes:
        """The connection ended: what was still held back. `record.finished` tells whether the reply was
        whole.
        """
        try:
            rest = b"".join([self._event(event) for event in self._framing.close()])
        except StreamError:
            rest = b""
        return rest + self._release()

    @abstractmethod
    def _frame(self, frame: dict[str, Json]) -> dict[str, Json]:
        """The restored frame; what must leave ahead of it is put into `_before`."""

    @abstractmethod
    def _remainder(self, key: LaneKey, text: str) -> Json:
        """A frame that carries nothing but the rest of a lane."""

    def _sentinel(self, data: str) -> bool:
        """A frame that is no JSON but ends the stream."""
        return False

    def _name(self, frame: Json) -> str:
        """The event name of a frame of our own."""
        return ""

    def _lane(self, key: LaneKey, *, arguments: bool = False) -> RestoreLane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = (JsonRestoreLane if arguments else RestoreLane)(self._values)
            self._lanes[key] = lane
        return lane

    def _only(
        self,
        member: str,
        text: str,
        lane: RestoreLane,
        call: tuple[int, int] | None = None,
        *,
        recorded: bool = True,
    ) -> None:
        """This frame says nothing but `text`; frames like it may be read without parsing them."""
        self._news = (Delta(member, text), lane, call, recorded)

    def _flush(self, *beginnings: int | str) -> None:
        """Everything held in lanes whose key begins like this leaves ahead of the frame."""
        for key, lane in self._lanes.items():
            if key[: len(beginnings)] == beginnings and (rest := lane.flush()):
                self._before.append(self._remainder(key, rest))

    def _event(self, event: SseEvent) -> bytes:
        if event.comment is not None:
            return self._framing.encode(event)
        for known in self._known:
            span = known.shape.find(event.data)
            if span:
                return self._known_frame(event, known, span)
        return self._new_frame(event)

    def _known_frame(self, event: SseEvent, known: _Known, span: tuple[int, int]) -> bytes:
        self._lessons = _LESSONS
        text = decoded(event.data[span[0] : span[1]])
        if known.call is not None:
            self._recorder.call(*known.call, "", text)
        elif known.recorded:
            self._recorder.text(text)
        said = known.lane.feed(text)
        if said == text:
            return self._framing.encode(event)
        data = event.data[: span[0]] + json.dumps(said)[1:-1] + event.data[span[1] :]
        return self._framing.encode(event._replace(data=data))

    def _new_frame(self, event: SseEvent) -> bytes:
        if self._sentinel(event.data):
            self._recorder.ended = True
            return self._release() + self._framing.encode(event)
        frame = parse_frame(event.data)
        if _is_refusal(frame):
            self._recorder.refuse(frame)
            self._refusals += 1
            return self._release()
        self._news = None
        restored = self._frame(dict(frame))
        before = self._taken()
        if self._news is not None and self._lessons:
            self._study(event.data, frame)
        if restored == frame:
            return before + self._framing.encode(event)
        return before + self._framing.encode(event._replace(data=encode_body(restored).decode()))

    def _study(self, data: str, frame: Json) -> None:
        if self._news is None:
            return
        self._lessons -= 1
        delta, lane, call, recorded = self._news
        shape = learn(data, frame, delta)
        if shape is not None:
            self._known = [_Known(shape, lane, call, recorded), *self._known[: _SHAPES - 1]]

    def _release(self) -> bytes:
        self._flush()
        return self._taken()

    def _taken(self) -> bytes:
        if not self._before:
            return b""
        frames, self._before = self._before, []
        events = [SseEvent(encode_body(frame).decode(), self._name(frame)) for frame in frames]
        return b"".join(map(self._framing.encode, events))


def _is_refusal(frame: Mapping[str, Json]) -> bool:
    """The gateway's own last frame: told to the agent in its dialect by whoever reads the record."""
    return "error" in frame and bool(text_of(frame.get("reason")))
