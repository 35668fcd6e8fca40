"""Ollama chat (POST /api/chat), whole and as newline-delimited JSON; streaming is its default."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from cadre_scripted.answer import Answer, pieces
from cadre_scripted.conversation import (
    CalledTool,
    Conversation,
    Json,
    Message,
    as_list,
    as_object,
    as_text,
    tool_names,
)


class Ollama:
    """Chat."""

    name = "ollama"
    stream_type = "application/x-ndjson"

    def parse(self, body: Json) -> Conversation:
        """Read a request; BadRequestError when it is malformed."""
        messages: list[Message] = []
        for item in as_list(body.get("messages"), "messages"):
            messages.append(_message(as_object(item, "messages[]"), messages))
        return Conversation(
            model=str(body.get("model", "")),
            stream=body.get("stream") is not False,
            messages=tuple(messages),
            tools=tool_names(body.get("tools")),
        )

    def whole(self, answer: Answer, now: float) -> Json:
        """Render the answer in one piece."""
        return _chunk(answer, now, answer.text, _calls(answer)) | _end(answer)

    def frames(self, answer: Answer, asked: Conversation, now: float) -> Iterator[bytes]:
        """Render the answer as a stream; a tool call is one line, as Ollama sends it."""
        for piece in pieces(answer.text, answer.chunking.characters):
            yield _line(_chunk(answer, now, piece))
        if answer.calls:
            yield _line(_chunk(answer, now, "", _calls(answer)))
        yield _line(_chunk(answer, now, "") | _end(answer))

    def error(self, status: int, message: str, code: str) -> Json:
        """Body of a refusal."""
        return {"error": f"{code}: {message}"}

    def error_frame(self, message: str) -> bytes:
        """Render an error inside a stream."""
        return _line({"error": message})


class OllamaGenerate:
    """Generate (POST /api/generate): the same, with the text in the line itself."""

    name = "ollama-generate"
    stream_type = "application/x-ndjson"

    def parse(self, body: Json) -> Conversation:
        """Read a request."""
        system = [Message("system", as_text(body["system"]))] if body.get("system") else []
        return Conversation(
            model=str(body.get("model", "")),
            stream=body.get("stream") is not False,
            messages=(*system, Message("user", as_text(body.get("prompt")))),
            tools=(),
        )

    def whole(self, answer: Answer, now: float) -> Json:
        """Render the answer in one piece."""
        return _generated(answer, now, answer.text) | _end(answer)

    def frames(self, answer: Answer, asked: Conversation, now: float) -> Iterator[bytes]:
        """Render the answer as a stream."""
        for piece in pieces(answer.text, answer.chunking.characters):
            yield _line(_generated(answer, now, piece))
        yield _line(_generated(answer, now, "") | _end(answer))

    def error(self, status: int, message: str, code: str) -> Json:
        """Body of a refusal."""
        return {"error": f"{code}: {message}"}

    def error_frame(self, message: str) -> bytes:
        """Render an error inside a stream."""
        return _line({"error": message})


def _generated(answer: Answer, now: float, text: str) -> Json:
    return {"model": answer.model, "created_at": _time(now), "response": text, "done": False}


def tags(model: str, now: float) -> Json:
    """Answer of GET /api/tags."""
    details = {
        "format": "scripted",
        "family": "scripted",
        "parameter_size": "0",
        "quantization_level": "none",
    }
    entry = {"name": model, "model": model, "modified_at": _time(now), "size": 0, "digest": "0" * 64}
    return {"models": [entry | {"details": details}]}


def _message(entry: Json, before: list[Message]) -> Message:
    """Read one message; a tool result without a name belongs to the newest call (Ollama has no call ids)."""
    role = str(entry.get("role", ""))
    calls = [as_object(call, "tool_calls[]") for call in as_list(entry.get("tool_calls"), "tool_calls")]
    functions = [as_object(call.get("function"), "tool_calls[].function") for call in calls]
    called = tuple(CalledTool("", str(function.get("name", ""))) for function in functions)
    name = str(entry.get("tool_name", ""))
    if role == "tool" and not name:
        name = next((m.calls[-1].name for m in reversed(before) if m.calls), "")
    return Message(role, as_text(entry.get("content")), name, called)


def _calls(answer: Answer) -> list[Json]:
    return [
        {"function": {"name": call.name, "arguments": json.loads(call.arguments)}} for call in answer.calls
    ]


def _chunk(answer: Answer, now: float, text: str, calls: list[Json] | None = None) -> Json:
    message: Json = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = calls
    return {"model": answer.model, "created_at": _time(now), "message": message, "done": False}


def _end(answer: Answer) -> Json:
    reason = "stop" if answer.finish == "tool_calls" else answer.finish
    counts = {"prompt_eval_count": answer.input_tokens, "eval_count": answer.output_tokens}
    durations = {"total_duration": 1, "load_duration": 0, "prompt_eval_duration": 0, "eval_duration": 1}
    return {"done": True, "done_reason": reason, **counts, **durations}


def _line(payload: Json) -> bytes:
    return (json.dumps(payload, ensure_ascii=False) + "\n").encode()


def _time(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z")
