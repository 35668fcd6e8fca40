"""Ollama's three endpoints spoken through OpenAI's: a dialect whose replies are put into Ollama's words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cadre_detect.jsonwalk import Json
from cadre_guard.model.ollama_dialect import (
    FrameTranslator,
    chat_completion,
    embedding,
    generation,
    vectors,
    whole_generation,
    whole_reply,
)
from cadre_guard.wire.dialect import NDJSON, Body, Dialect, MakeStream, RestoreReply
from cadre_guard.wire.dialects import OPENAI_CHAT, OPENAI_EMBEDDINGS
from cadre_guard.wire.openai_stream import ChatStreamRestorer
from cadre_guard.wire.record import CompletionRecord, ToolCallIds
from cadre_guard.wire.refusals import OllamaRefusals

Reply = Callable[[Mapping[str, Json], str], dict[str, Json]]


@dataclass(frozen=True, slots=True)
class Translation:
    """How one endpoint's requests and replies become another's."""

    spoken: Dialect
    request: Callable[[Body, bool], dict[str, Json]]
    reply: Reply
    generates: bool = False

    def dialect(self, model: str) -> Dialect:
        """The dialect that is spoken upwards, with replies for the agent in Ollama's words."""
        return replace(
            self.spoken,
            restore=_restoring(self.spoken.restore, self.reply, model),
            stream=_streaming(model, generates=self.generates) if self.spoken.stream else None,
            refusals=OllamaRefusals(),
            content_type=NDJSON,
        )


class TranslatedStream:
    """Chat completions in, Ollama's lines out."""

    def __init__(self, inner: ChatStreamRestorer, frames: FrameTranslator) -> None:
        self._inner = inner
        self._frames = frames

    @property
    def record(self) -> CompletionRecord:
        """What is known of the call by now."""
        return self._inner.record

    @property
    def ended(self) -> bool:
        """The reply is over."""
        return self._inner.ended

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped."""
        return self._inner.finish_reason

    def feed(self, data: bytes) -> bytes:
        """The lines this piece completes."""
        return self._frames.feed(self._inner.feed(data))

    def finish(self) -> bytes:
        """What was held back, the tool calls and the closing line."""
        return self._frames.feed(self._inner.finish()) + self._frames.finish()


def _restoring(restore: RestoreReply, reply: Reply, model: str) -> RestoreReply:
    def restored(
        body: Body, values: Mapping[str, str], ids: ToolCallIds | None = None
    ) -> tuple[dict[str, Json], CompletionRecord]:
        found, record = restore(body, values, ids)
        return reply(found, model), record

    return restored


def _streaming(model: str, *, generates: bool) -> MakeStream:
    def make(values: Mapping[str, str], ids: ToolCallIds | None = None) -> TranslatedStream:
        return TranslatedStream(ChatStreamRestorer(values, ids), FrameTranslator(model, generates=generates))

    return make


CHAT = Translation(OPENAI_CHAT, chat_completion, whole_reply)
GENERATE = Translation(OPENAI_CHAT, generation, whole_generation, generates=True)
EMBED = Translation(OPENAI_EMBEDDINGS, embedding, vectors)
