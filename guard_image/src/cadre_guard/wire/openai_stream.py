"""OpenAI chat completions as a stream: every lane restored apart, nothing left behind when it ends.

Held-back text leaves before what ends its lane: text before the first tool call (agents stop collecting a
call when text follows it), everything before the finish reason and before `[DONE]`.
"""

from __future__ import annotations

from collections.abc import Mapping

from cadre_detect.jsonwalk import Json
from cadre_detect.restore import restore_json
from cadre_guard.stream.errors import StreamError
from cadre_guard.stream.lane import JsonRestoreLane, RestoreLane
from cadre_guard.stream.sse import MAX_EVENT_BYTES, SseEvent, SseParser, encode_event
from cadre_guard.wire.body import encode_body, items, mutable, number_of, parse_frame, text_of
from cadre_guard.wire.record import CompletionRecord, Recorder, ToolCallIds

_DONE = "[DONE]"
_PLAIN = frozenset({"role", "tool_calls"})
_ENVELOPE = ("id", "object", "created", "model", "system_fingerprint")


class ChatStreamRestorer:
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
        self._texts: dict[tuple[int, str], RestoreLane] = {}
        self._calls: dict[tuple[int, int], JsonRestoreLane] = {}
        self._envelope: dict[str, Json] = {"object": "chat.completion.chunk"}

    @property
    def record(self) -> CompletionRecord:
        """What is known of the call by now."""
        return self._recorder.record()

    def feed(self, data: bytes) -> bytes:
        """The restored events this piece completes."""
        return b"".join(self._event(event) for event in self._parser.feed(data))

    def finish(self) -> bytes:
        """The connection ended: what was still held back. `record.finished` tells whether the reply was
        whole.
        """
        try:
            rest = b"".join(self._event(event) for event in self._parser.close())
        except StreamError:
            rest = b""
        return rest + self._flush_all()

    def _event(self, event: SseEvent) -> bytes:
        if event.comment is not None:
            return encode_event(event)
        if event.data.strip() == _DONE:
            self._recorder.ended = True
            return self._flush_all() + encode_event(event)
        chunk = parse_frame(event.data)
        before, restored = self._chunk(chunk)
        return b"".join(map(self._synthetic, before)) + encode_event(
            SseEvent(encode_body(restored).decode(), event.event, event.id, event.retry)
        )

    def _chunk(self, chunk: dict[str, Json]) -> tuple[list[Json], dict[str, Json]]:
        self._envelope |= {name: chunk[name] for name in _ENVELOPE if name in chunk}
        if chunk.get("error") is not None:
            self._recorder.fail(chunk["error"])
            return [], mutable(restore_json(chunk, self._values))
        usage = chunk.get("usage")
        if isinstance(usage, Mapping):
            self._recorder.usage = usage
        before: list[Json] = []
        if "choices" in chunk:
            chunk["choices"] = [
                self._choice(mutable(c), i, before) for i, c in enumerate(items(chunk["choices"]))
            ]
        return before, chunk

    def _choice(self, choice: dict[str, Json], position: int, before: list[Json]) -> dict[str, Json]:
        index = number_of(choice.get("index"), position)
        delta = mutable(choice.get("delta"))
        for name in [name for name in delta if name not in _PLAIN]:
            delta[name] = self._field(index, name, delta[name])
        if delta.get("tool_calls"):
            self._flush_texts(index, delta, before)
            calls = enumerate(items(delta["tool_calls"]))
            delta["tool_calls"] = [self._call(index, i, mutable(call)) for i, call in calls]
        reason = text_of(choice.get("finish_reason"))
        if reason:
            self._recorder.finish_reason = reason
            self._flush_texts(index, delta, before)
            self._flush_calls(index, delta, before)
        return choice | ({"delta": delta} if "delta" in choice else {})

    def _field(self, choice: int, name: str, value: Json) -> Json:
        if not isinstance(value, str):
            return restore_json(value, self._values)
        if name == "content":
            self._recorder.text(value)
        return self._texts.setdefault((choice, name), RestoreLane(self._values)).feed(value)

    def _call(self, choice: int, position: int, call: dict[str, Json]) -> dict[str, Json]:
        index = number_of(call.get("index"), position)
        is_new = (choice, index) not in self._calls
        lane = self._calls.setdefault((choice, index), JsonRestoreLane(self._values))
        unique = self._recorder.open_call(choice, index, text_of(call.get("id")))
        function = mutable(call.get("function"))
        arguments = text_of(function.get("arguments"))
        self._recorder.call(choice, index, text_of(function.get("name")), arguments)
        if "arguments" in function:
            function["arguments"] = lane.feed(arguments)
        named = {"id": unique} if is_new or call.get("id") else {}
        return call | {"index": index, "function": function} | named

    def _flush_texts(self, choice: int, delta: dict[str, Json], before: list[Json]) -> None:
        """Append what text lanes hold to their field of this delta, or put it into a chunk before."""
        for (owner, name), lane in self._texts.items():
            rest = lane.flush() if owner == choice else ""
            if rest and isinstance(delta.get(name), str):
                delta[name] = text_of(delta[name]) + rest
            elif rest:
                before.append({"index": choice, "delta": {name: rest}, "finish_reason": None})

    def _flush_calls(self, choice: int, delta: dict[str, Json], before: list[Json]) -> None:
        present = [mutable(call) for call in items(delta.get("tool_calls"))]
        for (owner, index), lane in self._calls.items():
            rest = lane.flush() if owner == choice else ""
            if not rest:
                continue
            for call in present:
                if call.get("index") == index:
                    function = mutable(call.get("function"))
                    call["function"] = function | {"arguments": text_of(function.get("arguments")) + rest}
                    break
            else:
                before.append(_call_delta(choice, index, rest))
        if present:
            delta["tool_calls"] = present

    def _flush_all(self) -> bytes:
        before: list[Json] = []
        for choice in dict.fromkeys([owner for owner, _ in [*self._texts, *self._calls]]):
            self._flush_texts(choice, {}, before)
            self._flush_calls(choice, {}, before)
        return b"".join(map(self._synthetic, before))

    def _synthetic(self, choice: Json) -> bytes:
        return encode_event(SseEvent(encode_body({**self._envelope, "choices": [choice]}).decode()))


def _call_delta(choice: int, index: int, arguments: str) -> Json:
    call: Json = {"index": index, "function": {"arguments": arguments}}
    return {"index": choice, "delta": {"tool_calls": [call]}, "finish_reason": None}
