"""chunk-invariance over the machines that restore streams: wherever the bytes of a stream are cut, the client
reads the same. A machine that forgets what it held must fail, or the examination proves nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from chunk_invariance import ChunkInvarianceError, assert_chunk_invariant

from cadre_detect import make_token
from cadre_guard.wire import dialects
from cadre_guard.wire.dialect import Dialect, MakeStream
from cadre_scripted.answer import Answer, AnsweredCall
from cadre_scripted.conversation import Conversation
from cadre_scripted.dialects import Dialect as Server
from cadre_scripted.dialects.anthropic import Anthropic
from cadre_scripted.dialects.completions import Completions
from cadre_scripted.dialects.gemini import Gemini
from cadre_scripted.dialects.ollama import Ollama, OllamaGenerate
from cadre_scripted.dialects.openai import OpenAI
from cadre_scripted.dialects.responses import Responses
from cadre_scripted.scenario import Chunking

_VALUE = 'Hanna "H" Keller\\'
_TOKEN = make_token(b"k", "1", "PERSON", _VALUE)
_VALUES = {_TOKEN: _VALUE}
_FORMATS: dict[str, tuple[Dialect, Server, bool]] = {
    "chat": (dialects.OPENAI_CHAT, OpenAI(), True),
    "completions": (dialects.OPENAI_COMPLETIONS, Completions(), False),
    "responses": (dialects.OPENAI_RESPONSES, Responses(), True),
    "messages": (dialects.ANTHROPIC_MESSAGES, Anthropic(), True),
    "ollama/chat": (dialects.OLLAMA_CHAT, Ollama(), True),
    "ollama/generate": (dialects.OLLAMA_GENERATE, OllamaGenerate(), False),
    "gemini": (dialects.GEMINI, Gemini(stream=True), True),
}


@dataclass(frozen=True)
class Row:
    """One run of an examination."""

    what: str
    wanted: str
    got: str

    @property
    def good(self) -> bool:
        """Whether it came out as it must."""
        return self.wanted == self.got


def every_cut() -> Iterator[Row]:
    """Each format; last a filter that restores each piece by itself."""
    for name, (dialect, server, calls) in _FORMATS.items():
        assert dialect.stream is not None
        stream = _restored(dialect.stream)
        yield Row(f"chunk-invariance, {name}", "the same", _examined(stream, _bytes_of(server, calls)))
    text = f"Dear {_TOKEN}, good morning".encode()
    yield Row("chunk-invariance, each piece alone", "not the same", _examined(_forgetful, text))


def _examined(stream: Callable[[Iterable[bytes]], Iterator[bytes]], data: bytes) -> str:
    single = [data[i : i + 1] for i in range(len(data))]

    def whole(given: bytes) -> bytes:
        return b"".join(stream([given]))

    try:
        assert_chunk_invariant(stream, whole, data)
        assert_chunk_invariant(stream, whole, data, splits=[single])
    except ChunkInvarianceError:
        return "not the same"
    return "the same" if _TOKEN.encode() not in whole(data) else "not restored"


def _restored(make: MakeStream) -> Callable[[Iterable[bytes]], Iterator[bytes]]:
    def stream(pieces: Iterable[bytes]) -> Iterator[bytes]:
        machine = make(_VALUES)
        for piece in pieces:
            yield machine.feed(piece)
        yield machine.finish()

    return stream


def _forgetful(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece.replace(_TOKEN.encode(), _VALUE.encode())


def _bytes_of(server: Server, calls: bool) -> bytes:
    called = (AnsweredCall("call_1", "mail", f'{{"to": "{_TOKEN}"}}'),) if calls else ()
    finish = "tool_calls" if calls else "stop"
    answer = Answer("a", "m", f"To {_TOKEN}.", called, finish, 1, 1, Chunking(characters=11), 0, None)
    return b"".join(server.frames(answer, Conversation("m", True, ()), 1.5))
