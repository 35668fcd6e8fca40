"""Ollama's native chat (POST /api/chat): newline-delimited JSON, or one object without `stream`.

Tool calls come whole, with arguments as an object; `GET /api/tags` carries nothing of a conversation and
passes unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping

from cadre_detect.errors import DetectionError
from cadre_detect.jsonwalk import Json, WalkRules
from cadre_detect.restore import restore_json
from cadre_guard.stream.errors import StreamError
from cadre_guard.stream.lane import RestoreLane
from cadre_guard.stream.ndjson import MAX_LINE_BYTES, NdjsonParser
from cadre_guard.wire.body import encode_body, items, mutable, parse_frame, text_of
from cadre_guard.wire.record import CompletionRecord, Recorder, ToolCallIds

REQUEST = WalkRules(
    structural=frozenset(
        {
            ("model",),
            ("stream",),
            ("format",),
            ("options",),
            ("keep_alive",),
            ("think",),
            ("tools",),
            ("messages", "*", "role"),
            ("messages", "*", "tool_name"),
            ("messages", "*", "tool_calls", "*", "function", "name"),
        }
    )
)

_USAGE = ("prompt_eval_count", "eval_count", "total_duration", "eval_duration")


def check_request(body: Mapping[str, Json]) -> None:
    """Raise DetectionError(UnscannableContent) for images."""
    try:
        if any(mutable(message).get("images") for message in items(body.get("messages"))):
            raise DetectionError("UnscannableContent", "only text can be checked; send text")
    except StreamError as error:
        raise DetectionError("BadBody", "messages must be an array of objects") from error


def restore_reply(
    body: Mapping[str, Json], values: Mapping[str, str], ids: ToolCallIds | None = None
) -> tuple[dict[str, Json], CompletionRecord]:
    """The whole reply with values restored, and the record of it (masked)."""
    restorer = ChatStreamRestorer(values, ids)
    reply = parse_frame(restorer.feed(encode_body(body) + b"\n").decode())
    return reply, restorer.record


class ChatStreamRestorer:
    """Bytes of the model's stream in, bytes for the agent out. Raises StreamError."""

    def __init__(
        self,
        values: Mapping[str, str],
        ids: ToolCallIds | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        """`values`: tokens to values of this session, may grow."""
        self._values = values
        self._parser = NdjsonParser(max_line_bytes)
        self._recorder = Recorder(ids)
        self._lanes: dict[str, RestoreLane] = {}
        self._calls = 0
        self._model: Json = None

    @property
    def record(self) -> CompletionRecord:
        """What is known of the call by now."""
        return self._recorder.record()

    def feed(self, data: bytes) -> bytes:
        """The restored lines this piece completes."""
        return b"".join(self._line(line) for line in self._parser.feed(data))

    def finish(self) -> bytes:
        """The connection ended: what was still held back."""
        try:
            rest = b"".join(self._line(line) for line in self._parser.close())
        except StreamError:
            rest = b""
        return rest + self._flushed()

    def _line(self, line: str) -> bytes:
        frame = parse_frame(line)
        self._model = frame.get("model", self._model)
        if frame.get("error") is not None:
            self._recorder.fail(frame["error"])
            return _encode(restore_json(frame, self._values))
        if "message" in frame:
            frame["message"] = self._message(mutable(frame["message"]))
        if frame.get("done") is not True:
            return _encode(frame)
        self._recorder.ended = True
        self._recorder.finish_reason = text_of(frame.get("done_reason")) or "stop"
        self._recorder.usage = {name: frame[name] for name in _USAGE if name in frame}
        before = self._flushed(frame.get("message"))
        return before + _encode(frame)

    def _message(self, message: dict[str, Json]) -> dict[str, Json]:
        for name in [name for name in message if name not in ("role", "tool_calls")]:
            value = message[name]
            if isinstance(value, str):
                lane = self._lanes.setdefault(name, RestoreLane(self._values))
                message[name] = lane.feed(value)
            else:
                message[name] = restore_json(value, self._values)
            if name == "content":
                self._recorder.text(text_of(value))
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

    def _flushed(self, last: Json = None) -> bytes:
        """Put what the lanes hold into the last message, or into a line of its own before it."""
        rest: dict[str, Json] = {name: text for name, lane in self._lanes.items() if (text := lane.flush())}
        if isinstance(last, dict) and all(isinstance(last.get(name), str) for name in rest):
            last |= {name: text_of(last[name]) + text_of(text) for name, text in rest.items()}
            return b""
        message: Json = {"role": "assistant", "content": "", **rest}
        return _encode({"model": self._model, "message": message, "done": False}) if rest else b""


def _encode(frame: Json) -> bytes:
    return encode_body(frame) + b"\n"
