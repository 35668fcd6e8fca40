"""OpenAI chat completions as a stream: every lane restored apart, nothing left behind when it ends.

Held-back text leaves before what ends its lane: text before the first tool call (agents stop collecting a
call when text follows it), everything before the finish reason and before `[DONE]`.
"""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import override

from cadre_detect.jsonwalk import Json
from cadre_detect.restore import restore_json
from cadre_guard.wire.body import items, mutable, number_of, text_of
from cadre_guard.wire.machine import LaneKey, StreamRestorer

_DONE = "[DONE]"
_PLAIN = frozenset({"role", "tool_calls"})
_ENVELOPE = ("id", "object", "created", "model", "system_fingerprint")
_TEXT, _CALL = "text", "call"


class OpenAIStreamRestorer(StreamRestorer):
    """What chat completions and legacy completions share: envelopes, usage, errors, `[DONE]`."""

    envelope: Mapping[str, Json] = {"object": "text_completion"}
    _seen: Mapping[str, Json] = {}

    @override
    def _sentinel(self, data: str) -> bool:
        return data.strip() == _DONE

    @override
    def _frame(self, frame: dict[str, Json]) -> dict[str, Json]:
        if not self._seen:
            self._seen = {name: frame[name] for name in _ENVELOPE if name in frame}
        if frame.get("error") is not None:
            self._recorder.fail(frame["error"])
            return mutable(restore_json(frame, self._values))
        usage = frame.get("usage")
        if isinstance(usage, Mapping):
            self._recorder.usage = usage
        if "choices" in frame:
            choices = items(frame["choices"])
            frame["choices"] = [self._choice(mutable(c), i, len(choices)) for i, c in enumerate(choices)]
        return frame

    def _choice(self, choice: dict[str, Json], position: int, of: int) -> dict[str, Json]:
        """One restored choice of `of` in its frame."""
        index = number_of(choice.get("index"), position)
        text = choice.get("text")
        if isinstance(text, str):
            self._recorder.text(text)
            lane = self._lane((index, _TEXT, "text"))
            choice["text"] = lane.feed(text)
            if of == 1 and not choice.get("finish_reason"):
                self._only("text", text, lane)
        if choice.get("finish_reason"):
            self._recorder.finish_reason = text_of(choice["finish_reason"])
            choice["text"] = text_of(choice.get("text")) + self._lane((index, _TEXT, "text")).flush()
        return choice

    @override
    def _remainder(self, key: LaneKey, text: str) -> Json:
        choice: Json = {"index": key[0], "text": text, "logprobs": None, "finish_reason": None}
        return self._wrapped(choice)

    def _wrapped(self, choice: Json) -> Json:
        return {**self.envelope, **self._seen, "choices": [choice]}


class ChatStreamRestorer(OpenAIStreamRestorer):
    """`POST /v1/chat/completions` with `stream`."""

    envelope: Mapping[str, Json] = {"object": "chat.completion.chunk"}

    @override
    def _choice(self, choice: dict[str, Json], position: int, of: int) -> dict[str, Json]:
        index = number_of(choice.get("index"), position)
        delta = mutable(choice.get("delta"))
        names = [name for name in delta if name not in _PLAIN]
        single = of == 1 and not choice.get("finish_reason")
        for name in names:
            delta[name] = self._field(index, name, delta[name], only=single and len(names) == 1)
        if delta.get("tool_calls"):
            self._news = None
            self._flush_texts(index, delta)
            calls = items(delta["tool_calls"])
            only = single and len(calls) == 1 and not names
            delta["tool_calls"] = [self._call(index, i, mutable(c), only=only) for i, c in enumerate(calls)]
        reason = text_of(choice.get("finish_reason"))
        if reason:
            self._recorder.finish_reason = reason
            self._flush_texts(index, delta)
            self._flush_calls(index, delta)
        return choice | ({"delta": delta} if "delta" in choice else {})

    def _field(self, choice: int, name: str, value: Json, *, only: bool) -> Json:
        if not isinstance(value, str):
            return restore_json(value, self._values)
        if name == "content":
            self._recorder.text(value)
        lane = self._lane((choice, _TEXT, name))
        if only:
            self._only(name, value, lane, recorded=name == "content")
        return lane.feed(value)

    def _call(self, choice: int, position: int, call: dict[str, Json], *, only: bool) -> dict[str, Json]:
        index = number_of(call.get("index"), position)
        key = (choice, _CALL, index)
        is_new = key not in self._lanes
        lane = self._lane(key, arguments=True)
        unique = self._recorder.open_call(choice, index, text_of(call.get("id")))
        function = mutable(call.get("function"))
        arguments = text_of(function.get("arguments"))
        self._recorder.call(choice, index, text_of(function.get("name")), arguments)
        if "arguments" in function:
            function["arguments"] = lane.feed(arguments)
            if only and not is_new and not call.get("id") and not function.get("name"):
                self._only("arguments", arguments, lane, (choice, index))
        named = {"id": unique} if is_new or call.get("id") else {}
        return call | {"index": index} | named | ({"function": function} if "function" in call else {})

    def _flush_texts(self, choice: int, delta: dict[str, Json]) -> None:
        for (owner, kind, name), lane in self._lanes.items():
            rest = lane.flush() if (owner, kind) == (choice, _TEXT) else ""
            if rest and isinstance(delta.get(str(name)), str):
                delta[str(name)] = text_of(delta[str(name)]) + rest
            elif rest:
                self._before.append(self._remainder((choice, _TEXT, name), rest))

    def _flush_calls(self, choice: int, delta: dict[str, Json]) -> None:
        present = [mutable(call) for call in items(delta.get("tool_calls"))]
        for (owner, kind, index), lane in self._lanes.items():
            rest = lane.flush() if (owner, kind) == (choice, _CALL) else ""
            if not rest:
                continue
            for call in present:
                if call.get("index") == index:
                    function = mutable(call.get("function"))
                    call["function"] = function | {"arguments": text_of(function.get("arguments")) + rest}
                    break
            else:
                self._before.append(self._remainder((choice, _CALL, index), rest))
        if present:
            delta["tool_calls"] = present

    @override
    def _remainder(self, key: LaneKey, text: str) -> Json:
        choice, kind, name = key
        delta: Json = {str(name): text}
        if kind == _CALL:
            delta = {"tool_calls": [{"index": name, "function": {"arguments": text}}]}
        return self._wrapped({"index": choice, "delta": delta, "finish_reason": None})
