"""Ollama's native chat and OpenAI's chat completions, one in the words of the other."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from cadre_detect.jsonwalk import Json
from cadre_guard.jsonvalue import as_count, as_list, as_object, as_text, parse_object
from cadre_guard.stream.sse import SseParser

_OPTIONS = {"temperature": "temperature", "top_p": "top_p", "seed": "seed", "num_predict": "max_tokens"}


def chat_completion(body: Mapping[str, Json], *, streaming: bool) -> dict[str, Json]:
    """An Ollama chat request as a chat completion; fields without a counterpart are left out."""
    options = as_object(body.get("options"))
    settings = {new: options[old] for old, new in _OPTIONS.items() if old in options}
    request: dict[str, object] = {"messages": list(_messages(as_list(body.get("messages")))), **settings}
    if body.get("tools"):
        request["tools"] = body["tools"]
    if streaming:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    return request  # type: ignore[return-value]  # parsed JSON by origin


def _messages(messages: list[object]) -> Iterator[dict[str, object]]:
    """Ollama has no call ids: results follow their calls in order, so that is how they are joined."""
    open_calls: list[str] = []
    for number, item in enumerate(messages):
        message = dict(as_object(item))
        if message.get("tool_calls"):
            calls = [as_object(call) for call in as_list(message["tool_calls"])]
            named = [(as_text(call.get("id")) or f"call_{number}_{i}", call) for i, call in enumerate(calls)]
            open_calls += [call_id for call_id, _call in named]
            message["tool_calls"] = [_tool_call(call_id, call) for call_id, call in named]
        if message.get("role") == "tool":
            message.pop("tool_name", None)
            message["tool_call_id"] = open_calls.pop(0) if open_calls else f"call_{number}"
        yield message


def _tool_call(call_id: str, call: Mapping[str, object]) -> dict[str, object]:
    function = as_object(call.get("function"))
    arguments = json.dumps(function.get("arguments") or {})
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": function.get("name"), "arguments": arguments},
    }


class FrameTranslator:
    """Restored SSE of a chat completion in, Ollama's lines out; tool calls leave whole, at the end."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._parser = SseParser()
        self._calls: dict[int, tuple[str, list[str]]] = {}
        self._reason = "stop"
        self._usage: Mapping[str, object] = {}

    def feed(self, data: bytes) -> bytes:
        """The lines this piece completes."""
        return b"".join(self._chunk(parse_object(event.data) or {}) for event in self._parser.feed(data))

    def finish(self) -> bytes:
        """The tool calls and the closing line."""
        calls = [
            {"function": {"name": name, "arguments": parse_object("".join(parts) or "{}") or {}}}
            for name, parts in self._calls.values()
        ]
        head = self._frame({"role": "assistant", "content": "", "tool_calls": calls}) if calls else b""
        done = {"role": "assistant", "content": ""}
        return head + self._frame(done, done=True, done_reason=self._reason, **_counts(self._usage))

    def _chunk(self, chunk: Mapping[str, object]) -> bytes:
        self._usage = as_object(chunk.get("usage")) or self._usage
        out = b""
        for item in as_list(chunk.get("choices")):
            choice = as_object(item)
            self._reason = as_text(choice.get("finish_reason")) or self._reason
            delta = as_object(choice.get("delta"))
            for call in as_list(delta.get("tool_calls")):
                self._add_call(as_object(call))
            if text := as_text(delta.get("content")):
                out += self._frame({"role": "assistant", "content": text})
        return out

    def _add_call(self, call: Mapping[str, object]) -> None:
        function = as_object(call.get("function"))
        name, parts = self._calls.setdefault(as_count(call.get("index")), ("", []))
        parts.append(as_text(function.get("arguments")))
        self._calls[as_count(call.get("index"))] = (name + as_text(function.get("name")), parts)

    def _frame(self, message: Mapping[str, object], **more: object) -> bytes:
        frame = {"model": self._model, "created_at": now(), "message": message, "done": False, **more}
        return json_line(frame)


def whole_reply(reply: Mapping[str, object], model: str) -> dict[str, object]:
    """A chat completion as Ollama's whole answer."""
    choice = as_object(next(iter(as_list(reply.get("choices"))), {}))
    message = dict(as_object(choice.get("message")))
    calls = [as_object(as_object(call).get("function")) for call in as_list(message.pop("tool_calls", None))]
    if calls:
        message["tool_calls"] = [
            {
                "function": {
                    "name": call.get("name"),
                    "arguments": parse_object(as_text(call.get("arguments"))) or {},
                }
            }
            for call in calls
        ]
    message["content"] = as_text(message.get("content"))
    reason = as_text(choice.get("finish_reason")) or "stop"
    head = {"model": model, "created_at": now(), "message": message, "done": True, "done_reason": reason}
    return {**head, **_counts(as_object(reply.get("usage")))}


def _function(call: Mapping[str, object]) -> dict[str, object]:
    return {"name": call.get("name"), "arguments": parse_object(as_text(call.get("arguments"))) or {}}


def _counts(usage: Mapping[str, object]) -> dict[str, int]:
    return {
        "prompt_eval_count": as_count(usage.get("prompt_tokens")),
        "eval_count": as_count(usage.get("completion_tokens")),
    }


def now() -> str:
    """RFC 3339, as Ollama writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def json_line(frame: Mapping[str, object]) -> bytes:
    """One frame."""
    return json.dumps(frame).encode() + b"\n"
