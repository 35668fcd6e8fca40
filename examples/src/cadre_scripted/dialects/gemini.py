"""Gemini (POST …:generateContent, …:streamGenerateContent?alt=sse), whole and as server-sent events."""

import json
from collections.abc import Iterator

from cadre_scripted.answer import Answer, pieces
from cadre_scripted.conversation import CalledTool, Conversation, Json, Message, as_list, as_object, as_text
from cadre_scripted.dialects.openai import sse

_FINISH = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


class Gemini:
    """Model and method stand in the path, so there is one of these for each method."""

    name = "gemini"
    stream_type = "text/event-stream"

    def __init__(self, *, stream: bool) -> None:
        """`stream`: for the streaming method."""
        self._stream = stream

    def parse(self, body: Json) -> Conversation:
        """Read a request; BadRequestError when it is malformed."""
        system = body.get("systemInstruction")
        messages = [Message("system", _text(as_object(system, "systemInstruction")))] if system else []
        contents = as_list(body.get("contents"), "contents")
        messages += [_message(as_object(entry, "contents[]")) for entry in contents]
        tools = [as_object(tool, "tools[]") for tool in as_list(body.get("tools"), "tools")]
        declared = [each for tool in tools for each in as_list(tool.get("functionDeclarations"), "tools[]")]
        names = tuple(str(as_object(each, "functionDeclarations[]").get("name", "")) for each in declared)
        return Conversation(model="", stream=self._stream, messages=tuple(messages), tools=names)

    def whole(self, answer: Answer, now: float) -> Json:
        """Render the answer in one piece."""
        parts: list[Json] = [{"text": answer.text}] if answer.text else []
        return _frame(answer, parts + _calls(answer), ends=True)

    def frames(self, answer: Answer, asked: Conversation, now: float) -> Iterator[bytes]:
        """Render the answer as a stream; a call comes whole."""
        for piece in pieces(answer.text, answer.chunking.characters):
            yield sse(_frame(answer, [{"text": piece}]))
        yield sse(_frame(answer, _calls(answer), ends=True))

    def error(self, status: int, message: str, code: str) -> Json:
        """Body of a refusal."""
        return {"error": {"code": status, "message": message, "status": code}}

    def error_frame(self, message: str) -> bytes:
        """Render an error inside a stream."""
        return sse(self.error(500, message, "INTERNAL"))


def _message(entry: Json) -> Message:
    parts = [as_object(part, "parts[]") for part in as_list(entry.get("parts"), "parts")]
    calls = [as_object(part["functionCall"], "functionCall") for part in parts if "functionCall" in part]
    results = [as_object(part["functionResponse"], "…") for part in parts if "functionResponse" in part]
    if results:
        return Message("tool", json.dumps(results[0].get("response")), str(results[0].get("name", "")))
    called = tuple(CalledTool(str(call.get("id", "")), str(call.get("name", ""))) for call in calls)
    return Message("assistant" if entry.get("role") == "model" else "user", _text(entry), calls=called)


def _text(content: Json) -> str:
    parts = as_list(content.get("parts"), "parts")
    return "".join(as_text(as_object(part, "parts[]").get("text")) for part in parts)


def _calls(answer: Answer) -> list[Json]:
    return [
        {"functionCall": {"id": call.id, "name": call.name, "args": json.loads(call.arguments)}}
        for call in answer.calls
    ]


def _frame(answer: Answer, parts: list[Json], *, ends: bool = False) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    finish: Json = {"finishReason": _FINISH.get(answer.finish, answer.finish)} if ends else {}
    usage: Json = {
        "promptTokenCount": answer.input_tokens,
        "candidatesTokenCount": answer.output_tokens,
        "totalTokenCount": answer.input_tokens + answer.output_tokens,
    }
    head: Json = {"modelVersion": answer.model, "responseId": answer.id, "usageMetadata": usage}
    return {"candidates": [candidate | finish], **head}
