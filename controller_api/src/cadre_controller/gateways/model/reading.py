"""What the gateway reads of a provider's answer in each API: that it began, how it ended, what it used."""

from collections.abc import Mapping
from dataclasses import dataclass

from typing_extensions import override

from cadre_controller.gateways.model.faults import ModelFault


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What the provider says the call used."""

    input_tokens: int
    output_tokens: int


class Reader:
    """One answer, frame by frame; a whole answer is one frame. This one reads OpenAI's `choices`."""

    input_name = "prompt_tokens"
    output_name = "completion_tokens"

    def __init__(self) -> None:
        self.started = False
        """Something came that cannot be taken back."""
        self.complete = False
        """The model said that it had finished."""
        self.usage: TokenUsage | None = None
        self.output_chars = 0
        self.finish_reason = ""

    def done(self) -> None:
        """The end mark of OpenAI's streams came."""
        self.complete = self.complete or self.started

    def read(self, frame: Mapping[str, object]) -> None:
        """Take note of a frame; raises ModelFault(ModelGarbage)."""
        self._use(frame.get("usage"))
        choices = frame.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                raise ModelFault("ModelGarbage", "the model sent a choice that is no object")
            self._say(choice.get("delta") or choice.get("text") or choice.get("message"))
            self._end(choice.get("finish_reason"))

    def _use(self, usage: object) -> None:
        """Counts replace earlier ones; a count that is not told stays."""
        if not isinstance(usage, Mapping):
            return
        before = self.usage
        given = _count(usage.get(self.input_name), before.input_tokens if before else None)
        made = _count(usage.get(self.output_name), before.output_tokens if before else None)
        if given is not None and made is not None:
            self.usage = TokenUsage(given, made)

    def _say(self, text: object) -> None:
        self.started = True
        self.output_chars += len(str(text or ""))

    def _end(self, reason: object) -> None:
        if isinstance(reason, str) and reason:
            self.started = self.complete = True
            self.finish_reason = reason


class ResponsesReader(Reader):
    """OpenAI responses: named events, or one response object."""

    input_name, output_name = "input_tokens", "output_tokens"

    @override
    def read(self, frame: Mapping[str, object]) -> None:
        kind = frame.get("type")
        if isinstance(kind, str) and kind.endswith(".delta"):
            self._say(frame.get("delta"))
        if kind == "error":
            raise ModelFault("ModelError", "the provider reported an error in the stream")
        response = frame.get("response", frame if frame.get("object") == "response" else None)
        if not isinstance(response, Mapping):
            return
        if response.get("status") == "failed":
            raise ModelFault("ModelError", "the provider reported an error in the stream")
        self._use(response.get("usage"))
        if response.get("status") in ("completed", "incomplete"):
            self._end(response["status"])


class MessagesReader(Reader):
    """Anthropic messages: usage comes in two parts."""

    input_name, output_name = "input_tokens", "output_tokens"

    @override
    def read(self, frame: Mapping[str, object]) -> None:
        message = frame.get("message", frame)
        self._use(message.get("usage") if isinstance(message, Mapping) else None)
        kind, delta = frame.get("type"), frame.get("delta")
        if kind == "content_block_delta":
            self._say(delta)
        elif kind == "message_delta" and isinstance(delta, Mapping):
            self._use(frame.get("usage"))
            self._end(delta.get("stop_reason"))
        elif kind == "message":
            self._say(frame.get("content"))
            self._end(frame.get("stop_reason"))


class GeminiReader(Reader):
    """Gemini: every frame is a whole response."""

    input_name, output_name = "promptTokenCount", "candidatesTokenCount"

    @override
    def read(self, frame: Mapping[str, object]) -> None:
        self._use(frame.get("usageMetadata"))
        feedback, found = frame.get("promptFeedback"), frame.get("candidates")
        if isinstance(feedback, Mapping):
            self._end(feedback.get("blockReason"))
        for candidate in found if isinstance(found, list) else ():
            if not isinstance(candidate, dict):
                raise ModelFault("ModelGarbage", "the model sent a candidate that is no object")
            self._say(candidate.get("content"))
            self._end(candidate.get("finishReason"))


class OllamaReader(Reader):
    """Ollama's lines, the last of which is `done`."""

    input_name, output_name = "prompt_eval_count", "eval_count"

    @override
    def read(self, frame: Mapping[str, object]) -> None:
        text = frame.get("message", frame.get("response"))
        if text is not None:
            self._say(text)
        if frame.get("done") is True:
            self._use({self.input_name: 0, self.output_name: 0, **frame})
            self._end(frame.get("done_reason") or "stop")


class VectorsReader(Reader):
    """Embeddings: one object with a list of vectors."""

    @override
    def read(self, frame: Mapping[str, object]) -> None:
        usage = frame.get("usage", {"prompt_tokens": frame.get("prompt_eval_count")})
        self._use({"completion_tokens": 0, **usage} if isinstance(usage, Mapping) else None)
        vectors = frame.get("data", frame.get("embeddings"))
        if isinstance(vectors, list) and vectors:
            self._end("stop")


def _count(value: object, before: int | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else before
