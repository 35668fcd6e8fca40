"""Ollama's native chat and OpenAI's chat completions, one in the words of the other."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from cadre_detect.jsonwalk import Json
from cadre_guard.jsonvalue import as_count, as_list, as_object, as_text, parse_object
from cadre_guard.stream.sse import SseParser

_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "num_predict": "max_tokens",
    "stop": "stop",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}


def chat_completion(body: Mapping[str, Json], streaming: bool) -> dict[str, Json]:
    """An Ollama chat request as a chat completion; settings without a counterpart are left out."""
    options = as_object(body.get("options"))
    settings = {new: options[old] for old, new in _OPTIONS.items() if old in options}
    request: dict[str, object] = {"messages": list(_messages(as_list(body.get("messages")))), **settings}
    if body.get("tools"):
        request["tools"] = body["tools"]
    if body.get("format"):
        request["response_format"] = _answer_format(body["format"])
    if streaming:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    return request  # type: ignore[return-value]  # parsed JSON by origin


def generation(body: Mapping[str, Json], streaming: bool) -> dict[str, Json]:
    """An Ollama generate request as a chat completion of one or two messages."""
    system: Json = {"role": "system", "content": body.get("system")}
    images = {"images": body["images"]} if body.get("images") else {}
    prompt: Json = {"role": "user", "content": body.get("prompt", ""), **images}
    messages = [system, prompt] if body.get("system") else [prompt]
    return chat_completion({**body, "messages": messages}, streaming)


def embedding(body: Mapping[str, Json], streaming: bool) -> dict[str, Json]:
    """An Ollama embed request as OpenAI's."""
    size = {"dimensions": body["dimensions"]} if "dimensions" in body else {}
    return {"input": body.get("input", body.get("prompt")), "encoding_format": "float", **size}


def _answer_format(asked: Json) -> dict[str, object]:
    if isinstance(asked, str):
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": asked}}


def _messages(messages: list[object]) -> Iterator[dict[str, object]]:
    """Ollama has no call ids: results follow their calls in order, so that is how they are joined."""
    open_calls: list[str] = []
    for number, item in enumerate(messages):
        message = dict(as_object(item))
        if message.get("images"):
            message["content"] = _with_images(message.pop("content", ""), as_list(message.pop("images")))
        if message.get("tool_calls"):
            calls = [as_object(call) for call in as_list(message["tool_calls"])]
            named = [(as_text(call.get("id")) or f"call_{number}_{i}", call) for i, call in enumerate(calls)]
            open_calls += [call_id for call_id, _call in named]
            message["tool_calls"] = [_tool_call(call_id, call) for call_id, call in named]
        if message.get("role") == "tool":
            message.pop("tool_name", None)
            message["tool_call_id"] = open_calls.pop(0) if open_calls else f"call_{number}"
        yield message


def _with_images(text: object, images: list[object]) -> list[object]:
    urls = [f"data:image/png;base64,{as_text(image)}" for image in images]
    return [{"type": "text", "text": text}, *({"type": "image_url", "image_url": {"url": u}} for u in urls)]


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

    def __init__(self, model: str, *, generates: bool = False) -> None:
        """`generates`: text stands in the frame itself, as `/api/generate` has it."""
        self._model = model
        self._generates = generates
        self._parser = SseParser()
        self._calls: dict[int, tuple[str, list[str]]] = {}
        self._reason = "stop"
        self._failed = False
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
        if self._failed:
            return b""
        head = self._frame("", tool_calls=calls) if calls else b""
        end = {"done": True, "done_reason": self._reason, **_counts(self._usage)}
        return head + self._frame("", end=end)

    def _chunk(self, chunk: Mapping[str, object]) -> bytes:
        self._usage = as_object(chunk.get("usage")) or self._usage
        self._failed = self._failed or "error" in chunk
        out = b""
        for item in as_list(chunk.get("choices")):
            choice = as_object(item)
            self._reason = as_text(choice.get("finish_reason")) or self._reason
            delta = as_object(choice.get("delta"))
            for call in as_list(delta.get("tool_calls")):
                self._add_call(as_object(call))
            if thought := as_text(delta.get("reasoning_content") or delta.get("reasoning")):
                out += self._frame("", thinking=thought)
            if text := as_text(delta.get("content")):
                out += self._frame(text)
        return out

    def _add_call(self, call: Mapping[str, object]) -> None:
        function = as_object(call.get("function"))
        name, parts = self._calls.setdefault(as_count(call.get("index")), ("", []))
        parts.append(as_text(function.get("arguments")))
        self._calls[as_count(call.get("index"))] = (name + as_text(function.get("name")), parts)

    def _frame(self, text: str, end: Mapping[str, object] | None = None, **more: object) -> bytes:
        said = {"response": text, **more} if self._generates else {"message": _said(text, more)}
        return json_line({"model": self._model, "created_at": now(), **said, "done": False, **(end or {})})


def _said(text: str, more: Mapping[str, object]) -> dict[str, object]:
    return {"role": "assistant", "content": text, **more}


def whole_reply(reply: Mapping[str, Json], model: str) -> dict[str, Json]:
    """A chat completion as Ollama's whole answer."""
    choice = as_object(next(iter(as_list(reply.get("choices"))), {}))
    message = dict(as_object(choice.get("message")))
    calls = [as_object(as_object(call).get("function")) for call in as_list(message.pop("tool_calls", None))]
    if calls:
        message["tool_calls"] = [{"function": _function(call)} for call in calls]
    if thought := as_text(message.pop("reasoning_content", None)):
        message["thinking"] = thought
    message["content"] = as_text(message.get("content"))
    reason = as_text(choice.get("finish_reason")) or "stop"
    head = {"model": model, "created_at": now(), "message": message, "done": True, "done_reason": reason}
    return {**head, **_counts(as_object(reply.get("usage")))}  # type: ignore[dict-item]  # parsed JSON


def whole_generation(reply: Mapping[str, Json], model: str) -> dict[str, Json]:
    """A chat completion as the whole answer of `/api/generate`."""
    whole = whole_reply(reply, model)
    message = as_object(whole.pop("message"))
    thought = {"thinking": as_text(message["thinking"])} if "thinking" in message else {}
    return {**whole, "response": as_text(message.get("content")), **thought}


def vectors(reply: Mapping[str, Json], model: str) -> dict[str, Json]:
    """OpenAI's embeddings as Ollama's."""
    found = [as_object(item).get("embedding") for item in as_list(reply.get("data"))]
    count = as_count(as_object(reply.get("usage")).get("prompt_tokens"))
    return {"model": model, "embeddings": found, "prompt_eval_count": count}  # type: ignore[dict-item]  # parsed JSON


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
