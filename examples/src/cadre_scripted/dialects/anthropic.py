"""Anthropic messages (POST /v1/messages), whole and as named server-sent events."""

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
from cadre_scripted.dialects.openai import sse

_STOP = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}


class Anthropic:
    """Messages."""

    name = "anthropic"
    stream_type = "text/event-stream"

    def parse(self, body: Json) -> Conversation:
        """Read a request; BadRequestError when it is malformed."""
        messages = [Message("system", as_text(body.get("system")))] if body.get("system") else []
        names: dict[str, str] = {}
        for entry in as_list(body.get("messages"), "messages"):
            messages.extend(_messages(as_object(entry, "messages[]"), names))
        return Conversation(
            model=str(body.get("model", "")),
            stream=body.get("stream") is True,
            messages=tuple(messages),
            tools=tool_names(body.get("tools")),
        )

    def whole(self, answer: Answer, now: float) -> Json:
        """Render the answer in one piece."""
        content: list[Json] = [{"type": "text", "text": answer.text}] if answer.text else []
        content += [_tool_use(call, json.loads(call.arguments)) for call in answer.calls]
        stop = _STOP.get(answer.finish, answer.finish)
        return _envelope(answer) | {"content": content, "stop_reason": stop, "usage": _usage(answer)}

    def frames(self, answer: Answer, asked: Conversation, now: float) -> Iterator[bytes]:
        """Render the answer as a stream: one block for the text, one for each tool call."""
        start = _envelope(answer) | {"usage": {"input_tokens": answer.input_tokens, "output_tokens": 0}}
        yield _event("message_start", message=start)
        index = 0
        if answer.text:
            yield from _block(
                index, {"type": "text", "text": ""}, "text", answer.text, answer.chunking.characters
            )
            index += 1
        for number, call in enumerate(answer.calls, start=index):
            yield from _block(
                number, _tool_use(call, {}), "partial_json", call.arguments, answer.chunking.characters
            )
        delta = {"stop_reason": _STOP.get(answer.finish, answer.finish), "stop_sequence": None}
        yield _event("message_delta", delta=delta, usage={"output_tokens": answer.output_tokens})
        yield _event("message_stop")

    def error(self, status: int, message: str, code: str) -> Json:
        """Body of a refusal."""
        return {"type": "error", "error": {"type": code, "message": message}}

    def error_frame(self, message: str) -> bytes:
        """Render an error inside a stream."""
        return sse(self.error(500, message, "api_error"), "error")


def _messages(entry: Json, names: dict[str, str]) -> Iterator[Message]:
    """Yield one message per tool result and one for the rest: results come as blocks of a user message."""
    role, content = str(entry.get("role", "")), entry.get("content")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    calls = []
    for block in blocks:
        if block.get("type") == "tool_use":
            called = CalledTool(str(block.get("id", "")), str(block.get("name", "")))
            names[called.id] = called.name
            calls.append(called)
        elif block.get("type") == "tool_result":
            yield Message("tool", as_text(block.get("content")), names.get(str(block.get("tool_use_id")), ""))
    text = as_text(content)
    if text or calls or not blocks:
        yield Message(role, text, calls=tuple(calls))


def _block(index: int, head: Json, field: str, text: str, size: int) -> Iterator[bytes]:
    kind = "text_delta" if field == "text" else "input_json_delta"
    yield _event("content_block_start", index=index, content_block=head)
    for piece in pieces(text, size):
        yield _event("content_block_delta", index=index, delta={"type": kind, field: piece})
    yield _event("content_block_stop", index=index)


def _event(name: str, **fields: object) -> bytes:
    return sse({"type": name, **fields}, name)


def _tool_use(call: AnsweredCall, arguments: object) -> Json:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _envelope(answer: Answer) -> Json:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _usage(answer: Answer) -> Json:
    return {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens}
