"""The model APIs that guards may call, and which kinds of provider speak each of them natively.

An answer is passed on in the API it was asked in, never translated: what a client's SDK relies on
(signatures, caching marks, citations, event order) has no counterpart elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cadre_controller.gateways.model.reading import (
    GeminiReader,
    MessagesReader,
    OllamaReader,
    Reader,
    ResponsesReader,
    VectorsReader,
)

_OPENAI_PART = {"openai": "", "ollama": "/v1", "anthropic": "/v1", "gemini": "/openai"}
"""What a provider's base URL may lack before the paths of its OpenAI-compatible API."""
_NATIVE_PART = {"anthropic": "/v1"}
_OPENAI, _ANTHROPIC, _GEMINI, _OLLAMA = "openai", "anthropic", "gemini", "ollama"


@dataclass(frozen=True, slots=True)
class Api:
    """One API."""

    name: str
    """Its path below /guard/v1/model/."""
    path: str
    """Its path at a provider; `{model}` stands for the model's name."""
    speakers: frozenset[str]
    """The provider dialects that have it."""
    reader: Callable[[], Reader]
    native: bool = False
    """Not part of the OpenAI-compatible API."""
    lines: bool = False
    """Streams are lines of JSON, not events."""
    texts: str = "messages"
    """The member that must be there."""
    names_model: bool = True
    """Model and streaming are members of the body, not of the path."""
    counts_on_demand: bool = False
    """A stream tells what it used only when asked to."""
    streams: bool | None = None
    """Whether it streams, where its body does not say."""

    def url(self, dialect: str, base_url: str, model: str) -> str:
        """Where a provider has it; the version part is added where the base URL has none."""
        base = base_url.rstrip("/")
        compatible = _OPENAI_PART.get(dialect, "")
        if self.native:
            base = base.removesuffix(compatible) if compatible else base
        part = _NATIVE_PART.get(dialect, "") if self.native else compatible
        full = base if not part or base.endswith(part) else base + part
        return full + self.path.format(model=model)


_COMPATIBLE = frozenset({_OPENAI, _ANTHROPIC, _GEMINI, _OLLAMA})
CHAT = Api("chat/completions", "/chat/completions", _COMPATIBLE, Reader, counts_on_demand=True)
APIS = (
    CHAT,
    Api(
        "completions",
        "/completions",
        frozenset({_OPENAI, _OLLAMA}),
        Reader,
        texts="prompt",
        counts_on_demand=True,
    ),
    Api("responses", "/responses", frozenset({_OPENAI}), ResponsesReader, texts="input"),
    Api(
        "embeddings",
        "/embeddings",
        frozenset({_OPENAI, _GEMINI, _OLLAMA}),
        VectorsReader,
        texts="input",
        streams=False,
    ),
    Api("messages", "/messages", frozenset({_ANTHROPIC}), MessagesReader, native=True),
    Api("ollama/chat", "/api/chat", frozenset({_OLLAMA}), OllamaReader, native=True, lines=True),
    Api(
        "ollama/generate",
        "/api/generate",
        frozenset({_OLLAMA}),
        OllamaReader,
        native=True,
        lines=True,
        texts="prompt",
    ),
    Api(
        "ollama/embed",
        "/api/embed",
        frozenset({_OLLAMA}),
        VectorsReader,
        native=True,
        texts="input",
        streams=False,
    ),
    Api(
        "gemini/generateContent",
        "/models/{model}:generateContent",
        frozenset({_GEMINI}),
        GeminiReader,
        native=True,
        texts="contents",
        names_model=False,
        streams=False,
    ),
    Api(
        "gemini/streamGenerateContent",
        "/models/{model}:streamGenerateContent?alt=sse",
        frozenset({_GEMINI}),
        GeminiReader,
        native=True,
        texts="contents",
        names_model=False,
        streams=True,
    ),
)
BY_NAME = {api.name: api for api in APIS}


def credential_headers(api: Api, dialect: str, secret: str) -> dict[str, str]:
    """The headers that carry a provider's credential."""
    if api.native and dialect == _ANTHROPIC:
        return {"anthropic-version": "2023-06-01", **({"x-api-key": secret} if secret else {})}
    if api.native and dialect == _GEMINI:
        return {"x-goog-api-key": secret} if secret else {}
    return {"Authorization": f"Bearer {secret}"} if secret else {}
