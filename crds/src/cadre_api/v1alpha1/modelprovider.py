"""ModelProvider: where models come from; credentials for it exist in the controller's gateway only."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cadre_api.schema import ApiModel, Column, Crd, ListMap, ListSet, exactly_one_of
from cadre_api.v1alpha1.common import (
    CredentialsRef,
    Currency,
    Limits,
    ModelName,
    Money,
    Purpose,
    Resource,
    Status,
    Text,
    Url,
)


class OpenAIProvider(ApiModel):
    """Any endpoint that speaks OpenAI's chat completions."""

    base_url: Annotated[Url, Field(alias="baseURL")] = "https://api.openai.com/v1"
    """URL up to and including `/v1`; another one for compatible servers. Default:
    https://api.openai.com/v1."""
    organization: Text | None = None
    """Organization header, where an account has several. Default: none."""


class AnthropicProvider(ApiModel):
    """Anthropic's messages API."""

    base_url: Annotated[Url, Field(alias="baseURL")] = "https://api.anthropic.com"
    """URL without `/v1`. Default: https://api.anthropic.com."""


class GeminiProvider(ApiModel):
    """Google's Gemini API."""

    base_url: Annotated[Url, Field(alias="baseURL")] = "https://generativelanguage.googleapis.com"
    """URL without a version. Default: https://generativelanguage.googleapis.com."""


class OllamaProvider(ApiModel):
    """An Ollama server."""

    base_url: Annotated[Url, Field(alias="baseURL")] = "http://localhost:11434"
    """URL of the server. Default: http://localhost:11434."""


class Price(ApiModel):
    """What a model costs; budgets are kept with it."""

    currency: Currency = "USD"
    """ISO 4217 code. Default: USD."""
    input_per_million: Money
    """Price of a million input tokens, a quoted decimal such as "0.15"."""
    output_per_million: Money
    """Price of a million output tokens, a quoted decimal such as "0.60"."""
    cached_input_per_million: Money | None = None
    """Price of a million input tokens that the provider had cached. Default: as inputPerMillion."""


class ProviderModel(ApiModel):
    """One model that profiles may choose."""

    name: ModelName
    """The provider's own name of the model, as sent in requests."""
    context_window: Annotated[int, Field(ge=256, le=100_000_000)] | None = None
    """Tokens that fit into one request, in and out; longer ones are trimmed or refused. Default: not
    checked."""
    price: Price | None = None
    """Price list. Default: free, as for a model on one's own hardware."""
    purposes: Annotated[tuple[Purpose, ...], Field(min_length=1, max_length=3), ListSet()] | None = None
    """What the model is good enough for: plan, work, summarize. Default: all."""


class ModelProviderSpec(ApiModel):
    """Set by tenant admins; exactly one of openai, anthropic, gemini and ollama is set."""

    validations = (exactly_one_of("openai", "anthropic", "gemini", "ollama"),)

    openai: OpenAIProvider | None = None
    """An OpenAI-compatible endpoint. Default: not set."""
    anthropic: AnthropicProvider | None = None
    """Anthropic. Default: not set."""
    gemini: GeminiProvider | None = None
    """Gemini. Default: not set."""
    ollama: OllamaProvider | None = None
    """Ollama, usually on one's own machines. Default: not set."""
    credentials_ref: CredentialsRef | None = None
    """API key. Default: none, for servers that ask for no key."""
    models: Annotated[tuple[ProviderModel, ...], Field(min_length=1, max_length=128), ListMap("name")]
    """Models that may be used; others of the provider cannot."""
    limits: Limits | None = None
    """Rate limit and timeout. Default: no rate limit, 120s."""


class ModelProviderStatus(Status):
    """Whether the provider answers; written by Cadre."""


class ModelProvider(Resource):
    """A source of language models."""

    crd: ClassVar[Crd] = Crd(
        plural="modelproviders",
        singular="modelprovider",
        short_name="cdmodel",
        columns=(
            Column("Models", ".spec.models[*].name"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["ModelProvider"] = "ModelProvider"
    """Always ModelProvider."""
    spec: ModelProviderSpec
    """Where the models are and what they cost."""
    status: ModelProviderStatus | None = None
    """What Cadre observed."""
