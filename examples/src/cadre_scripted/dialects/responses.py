"""OpenAI responses (POST /v1/responses), whole and as named server-sent events."""

from collections.abc import Iterator

from cadre_scripted.answer import Answer, AnsweredCall, pieces
from cadre_scripted.conversation import CalledTool, Conversation, Json, Message, as_list, as_object, as_text
from cadre_scripted.dialects.openai import sse


class Responses:
    """Responses."""

    name = "responses"
    stream_type = "text/event-stream"

    def parse(self, body: Json) -> Conversation:
        """Read a request; BadRequestError when it is malformed."""
        messages = [Message("system", as_text(body["instructions"]))] if body.get("instructions") else []
        names: dict[str, str] = {}
        given = body.get("input")
        items = [{"role": "user", "content": given}] if isinstance(given, str) else as_list(given, "input")
        messages += [_message(as_object(item, "input[]"), names) for item in items]
        tools = [as_object(tool, "tools[]") for tool in as_list(body.get("tools"), "tools")]
        return Conversation(
            model=str(body.get("model", "")),
            stream=body.get("stream") is True,
            messages=tuple(messages),
            tools=tuple(str(tool.get("name", "")) for tool in tools),
        )

    def whole(self, answer: Answer, now: float) -> Json:
        """Render the answer in one piece."""
        output = [_said(answer, answer.text)] if answer.text else []
        output += [_call(call, call.arguments) for call in answer.calls]
        return _response(answer, now, "completed") | {"output": output, "usage": _usage(answer)}

    def frames(self, answer: Answer, asked: Conversation, now: float) -> Iterator[bytes]:
        """Render the answer as a stream: one item for the text, one for each tool call."""
        events = _events(answer, self.whole(answer, now), _response(answer, now, "in_progress"))
        for number, event in enumerate(events):
            yield sse(event | {"sequence_number": number}, str(event["type"]))

    def error(self, status: int, message: str, code: str) -> Json:
        """Body of a refusal."""
        return {"error": {"message": message, "type": "scripted_error", "param": None, "code": code}}

    def error_frame(self, message: str) -> bytes:
        """Render an error inside a stream."""
        event = {"type": "error", "code": "Scripted", "message": message, "param": None, "sequence_number": 0}
        return sse(event, "error")


def _events(answer: Answer, whole: Json, begun: Json) -> Iterator[Json]:
    yield {"type": "response.created", "response": begun}
    index = 0
    if answer.text:
        yield from _text(answer, index)
        index += 1
    for number, call in enumerate(answer.calls, start=index):
        yield from _calling(call, number, answer.chunking.characters)
    yield {"type": "response.completed", "response": whole}


def _text(answer: Answer, index: int) -> Iterator[Json]:
    place = {"item_id": f"msg_{answer.id}", "output_index": index, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    empty = _said(answer, "") | {"content": [], "status": "in_progress"}
    yield {"type": "response.output_item.added", "output_index": index, "item": empty}
    yield {"type": "response.content_part.added", **place, "part": part}
    for piece in pieces(answer.text, answer.chunking.characters):
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": answer.text, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part | {"text": answer.text}}
    item = _said(answer, answer.text)
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _calling(call: AnsweredCall, index: int, size: int) -> Iterator[Json]:
    place = {"item_id": f"fc_{call.id}", "output_index": index}
    item = _call(call, "") | {"status": "in_progress"}
    yield {"type": "response.output_item.added", "output_index": index, "item": item}
    for piece in pieces(call.arguments, size):
        yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
    done = {"arguments": call.arguments, "name": call.name}
    yield {"type": "response.function_call_arguments.done", **place, **done}
    item = _call(call, call.arguments)
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _message(item: Json, names: dict[str, str]) -> Message:
    kind = item.get("type")
    if kind == "function_call":
        called = CalledTool(str(item.get("call_id", "")), str(item.get("name", "")))
        names[called.id] = called.name
        return Message("assistant", "", calls=(called,))
    if kind == "function_call_output":
        return Message("tool", as_text(item.get("output")), names.get(str(item.get("call_id")), ""))
    return Message(str(item.get("role", "")), as_text(item.get("content")))


def _said(answer: Answer, text: str) -> Json:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    head: Json = {"type": "message", "id": f"msg_{answer.id}", "role": "assistant", "status": "completed"}
    return {**head, "content": content}


def _call(call: AnsweredCall, arguments: str) -> Json:
    names: Json = {"type": "function_call", "id": f"fc_{call.id}", "call_id": call.id, "name": call.name}
    return {**names, "arguments": arguments, "status": "completed"}


def _response(answer: Answer, now: float, status: str) -> Json:
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": int(now),
        "status": status,
        "model": answer.model,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def _usage(answer: Answer) -> Json:
    return {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }
