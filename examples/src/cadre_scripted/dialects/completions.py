"""OpenAI's legacy completions (POST /v1/completions), whole and as server-sent events."""

from collections.abc import Iterator

from cadre_scripted.answer import Answer, pieces
from cadre_scripted.conversation import Conversation, Json, Message, as_text
from cadre_scripted.dialects.openai import OpenAI, sse


class Completions:
    """The prompt is one message of the user's."""

    name = "completions"
    stream_type = "text/event-stream"

    def parse(self, body: Json) -> Conversation:
        """Read a request."""
        prompt = body.get("prompt")
        texts = [str(text) for text in prompt] if isinstance(prompt, list) else [as_text(prompt)]
        options = body.get("stream_options")
        return Conversation(
            model=str(body.get("model", "")),
            stream=body.get("stream") is True,
            messages=tuple(Message("user", text) for text in texts),
            tools=(),
            include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        )

    def whole(self, answer: Answer, now: float) -> Json:
        """Render the answer in one piece."""
        return _chunk(answer, now, answer.text, answer.finish) | {"usage": _usage(answer)}

    def frames(self, answer: Answer, asked: Conversation, now: float) -> Iterator[bytes]:
        """Render the answer as a stream."""
        for piece in pieces(answer.text, answer.chunking.characters):
            yield sse(_chunk(answer, now, piece, None))
        yield sse(_chunk(answer, now, "", answer.finish))
        if asked.include_usage:
            yield sse(_chunk(answer, now, "", None) | {"choices": [], "usage": _usage(answer)})
        yield b"data: [DONE]\n\n"

    def error(self, status: int, message: str, code: str) -> Json:
        """Body of a refusal."""
        return OpenAI().error(status, message, code)

    def error_frame(self, message: str) -> bytes:
        """Render an error inside a stream."""
        return OpenAI().error_frame(message)


def embeddings(body: Json) -> Json:
    """Answer of POST /v1/embeddings: as many vectors as texts, made of their lengths."""
    given = body.get("input")
    texts = given if isinstance(given, list) else [given]
    data = [
        {"object": "embedding", "index": index, "embedding": [float(len(str(text))), 0.5]}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return {"object": "list", "data": data, "model": str(body.get("model", "")), "usage": usage}


def _chunk(answer: Answer, now: float, text: str, finish: str | None) -> Json:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    head = {"id": f"cmpl-{answer.id}", "object": "text_completion", "created": int(now)}
    return head | {"model": answer.model, "choices": [choice]}


def _usage(answer: Answer) -> Json:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }
