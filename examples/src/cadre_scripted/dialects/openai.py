"""OpenAI chat completions (POST /v1/chat/completions), whole and as server-sent events."""

import json
from collections.abc import Iterator

from cadre_scripted.answer import Answer, AnsweredCall, pieces
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

_ROLES = {"developer": "system", "function": "tool"}


def sse(payload: object, event: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode()


class OpenAI:
    """Chat completions."""

    name = "openai"
    stream_type = "text/event-stream"

    def parse(self, body: Json) -> Conversation:
        """Read a request; BadRequestError when it is malformed."""
        names: dict[str, str] = {}
        entries = as_list(body.get("messages"), "messages")
        messages = [_message(as_object(entry, "messages[]"), names) for entry in entries]
        options = body.get("stream_options")
        return Conversation(
            model=str(body.get("model", "")),
            stream=body.get("stream") is True,
            messages=tuple(messages),
            tools=tool_names(body.get("tools")),
            include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        )

    def whole(self, answer: Answer, now: float) -> Json:
        """Render the answer in one piece."""
        message: Json = {"role": "assistant", "content": answer.text or None}
        if answer.calls:
            message["tool_calls"] = [_call(call) for call in answer.calls]
        choice = {"index": 0, "message": message, "finish_reason": answer.finish, "logprobs": None}
        return _envelope(answer, now, "chat.completion") | {"choices": [choice], "usage": _usage(answer)}

    def frames(self, answer: Answer, asked: Conversation, now: float) -> Iterator[bytes]:
        """Render the answer as a stream: role, content, tool calls, finish, usage, [DONE]."""
        envelope = _envelope(answer, now, "chat.completion.chunk")
        size = answer.chunking.characters

        def chunk(delta: Json, finish: str | None = None) -> bytes:
            return sse(envelope | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

        yield chunk({"role": "assistant", "content": ""})
        for piece in pieces(answer.text, size):
            yield chunk({"content": piece})
        for index, call in enumerate(answer.calls):
            yield chunk({"tool_calls": [{"index": index, **_call(call, arguments="")}]})
            for piece in pieces(call.arguments, size):
                yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        yield chunk({}, answer.finish)
        if asked.include_usage:
            yield sse(envelope | {"choices": [], "usage": _usage(answer)})
        yield b"data: [DONE]\n\n"

    def error(self, status: int, message: str, code: str) -> Json:
        """Body of a refusal."""
        return {"error": {"message": message, "type": "scripted_error", "param": None, "code": code}}

    def error_frame(self, message: str) -> bytes:
        """Render an error inside a stream."""
        return sse(self.error(500, message, "Scripted"))


def _message(entry: Json, names: dict[str, str]) -> Message:
    role = str(entry.get("role", ""))
    calls = []
    for item in as_list(entry.get("tool_calls"), "tool_calls"):
        call = as_object(item, "tool_calls[]")
        function = as_object(call.get("function"), "tool_calls[].function")
        called = CalledTool(str(call.get("id", "")), str(function.get("name", "")))
        names[called.id] = called.name
        calls.append(called)
    name = names.get(str(entry.get("tool_call_id", "")), "")
    return Message(_ROLES.get(role, role), as_text(entry.get("content")), name, tuple(calls))


def _call(call: AnsweredCall, arguments: str | None = None) -> Json:
    sent = call.arguments if arguments is None else arguments
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": sent}}


def _envelope(answer: Answer, now: float, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": kind,
        "created": int(now),
        "model": answer.model,
        "system_fingerprint": "cadre-scripted",
    }


def _usage(answer: Answer) -> Json:
    total = answer.input_tokens + answer.output_tokens
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": total,
    }
