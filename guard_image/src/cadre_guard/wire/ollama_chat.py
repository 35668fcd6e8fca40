"""Ollama's native chat and generate (POST /api/chat, /api/generate): newline-delimited JSON, or one object.

Tool calls come whole, with arguments as an object.
"""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import override

from cadre_detect.errors import DetectionError
from cadre_detect.jsonwalk import Json, WalkRules
from cadre_detect.restore import restore_json
from cadre_guard.stream.errors import StreamError
from cadre_guard.stream.ndjson import NdjsonFraming
from cadre_guard.wire.body import encode_body, items, mutable, parse_frame, text_of
from cadre_guard.wire.machine import LaneKey, StreamRestorer
from cadre_guard.wire.openai_chat import tool_rules, top_level
from cadre_guard.wire.record import CompletionRecord, ToolCallIds

_SETTINGS = ("model", "stream", "options", "keep_alive", "think", "raw", "logprobs", "top_logprobs")
_CALL = ("messages", "*", "tool_calls", "*")

REQUEST = WalkRules(
    structural=top_level(*_SETTINGS)
    | {("messages", "*", "role"), ("messages", "*", "tool_name"), ("messages", "*", "tool_call_id")}
    | {(*_CALL, "id"), (*_CALL, "type"), (*_CALL, "function", "name"), (*_CALL, "function", "index")}
    | {("context", "*")}
    | tool_rules(),
    schemas=frozenset({("format",), ("tools", "*", "function", "parameters")}),
)

_USAGE = ("prompt_eval_count", "eval_count", "total_duration", "eval_duration")
_TEXTS = ("response", "thinking")
_NOT_TEXT = frozenset({"role", "tool_calls"})


def check_request(body: Mapping[str, Json]) -> None:
    """Raise DetectionError(UnscannableContent) for images, and for a context of token numbers."""
    try:
        pictures = [mutable(message).get("images") for message in items(body.get("messages"))]
    except StreamError as error:
        raise DetectionError("BadBody", "messages must be an array of objects") from error
    if any(pictures) or body.get("images") or body.get("context"):
        raise DetectionError("UnscannableContent", "only text can be checked; send text")


def restore_reply(
    body: Mapping[str, Json], values: Mapping[str, str], ids: ToolCallIds | None = None
) -> tuple[dict[str, Json], CompletionRecord]:
    """The whole reply with values restored, and the record of it (masked)."""
    restorer = ChatStreamRestorer(values, ids)
    reply = parse_frame(restorer.feed(encode_body(body) + b"\n").decode())
    return reply, restorer.record


class ChatStreamRestorer(StreamRestorer):
    """Both endpoints: chat's text is in `message`, generate's in the frame itself."""

    framing = NdjsonFraming
    _model: Json = None
    _calls = 0

    @override
    def _frame(self, frame: dict[str, Json]) -> dict[str, Json]:
        self._model = frame.get("model", self._model)
        if frame.get("error") is not None:
            self._recorder.fail(frame["error"])
            return mutable(restore_json(frame, self._values))
        is_chat = "message" in frame
        holder = self._texts(frame["message"] if is_chat else frame, is_chat=is_chat)
        if frame.get("done") is True:
            self._news = None
            self._recorder.ended = True
            self._recorder.finish_reason = text_of(frame.get("done_reason")) or "stop"
            self._recorder.usage = {name: frame[name] for name in _USAGE if name in frame}
            self._last(holder)
        return frame | {"message": holder} if is_chat else holder

    def _texts(self, holder: Json, *, is_chat: bool) -> dict[str, Json]:
        message = mutable(holder)
        names = [name for name in message if name not in _NOT_TEXT] if is_chat else list(_TEXTS)
        texts = {name: text for name in names if isinstance(text := message.get(name), str)}
        said = [name for name, text in texts.items() if text]
        for name, text in texts.items():
            recorded = name in ("content", "response")
            if recorded:
                self._recorder.text(text)
            lane = self._lane((name,))
            message[name] = lane.feed(text)
            if said == [name] and not message.get("tool_calls"):
                self._only(name, text, lane, recorded=recorded)
        for name in [name for name in names if name in message and name not in texts]:
            message[name] = restore_json(message[name], self._values)
        if message.get("tool_calls"):
            message["tool_calls"] = [self._call(mutable(call)) for call in items(message["tool_calls"])]
        return message

    def _call(self, call: dict[str, Json]) -> dict[str, Json]:
        function = mutable(call.get("function"))
        unique = self._recorder.open_call(0, self._calls, text_of(call.get("id")))
        arguments = function.get("arguments")
        self._recorder.call(0, self._calls, text_of(function.get("name")), encode_body(arguments).decode())
        self._calls += 1
        function["arguments"] = restore_json(arguments, self._values)
        return call | {"id": unique, "function": function}

    def _last(self, holder: dict[str, Json]) -> None:
        """What lanes hold goes into the last frame where it has the member, else into one before it."""
        for (name,), lane in self._lanes.items():
            rest = lane.flush()
            if rest and isinstance(holder.get(str(name)), str):
                holder[str(name)] = text_of(holder[str(name)]) + rest
            elif rest:
                self._before.append(self._remainder((name,), rest))

    @override
    def _remainder(self, key: LaneKey, text: str) -> Json:
        name = str(key[0])
        if name == "response" or "response" in {known for (known,) in self._lanes}:
            return {"model": self._model, "response": "", name: text, "done": False}
        message: Json = {"role": "assistant", "content": "", name: text}
        return {"model": self._model, "message": message, "done": False}
