"""One YAML file says everything; a mistake names its field and the fix."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from cadre_api.problems import field_problems
from cadre_api.protocol.guard import GuardRules
from cadre_api.schema import ApiModel
from cadre_api.v1alpha1 import PolicyGuard
from cadre_core.bundle import rules_of_policy
from cadre_guard.errors import ConfigurationError

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$")]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Responses(StrEnum):
    """What happens to values that a model says on its own."""

    PASS = "Pass"  # noqa: S105 - not a password
    """They reach the client: only our own tokens are replaced."""
    MASK = "Mask"
    """They are masked too; a stream is held back by up to 256 characters to see them whole."""


class Upstream(ApiModel):
    """A model API."""

    base_url: HttpUrl = Field(alias="baseURL")
    """URL up to and with its version, such as https://api.openai.com/v1."""
    api_key_env: EnvironmentName | None = Field(default=None, alias="apiKeyEnv")
    """Environment variable with the key to send. Default: the client's own key is passed on."""


class Upstreams(ApiModel):
    """At most one upstream for each family of formats."""

    openai: Upstream | None = None
    """Chat completions, completions, responses, embeddings, in any service that speaks them."""
    anthropic: Upstream | None = None
    """Messages."""
    ollama: Upstream | None = None
    """Ollama's own API."""
    gemini: Upstream | None = None
    """generateContent."""


class GuardFile(ApiModel):
    """guard.yaml."""

    listen: Annotated[str, Field(pattern=r"^\S+:\d{1,5}$")] = "127.0.0.1:7450"
    """Address and port. Default: 127.0.0.1:7450."""
    upstreams: Upstreams
    """Where requests go."""
    guard: PolicyGuard = PolicyGuard()
    """What is done to private data, as in `spec.guard` of a Policy. Default: mask, and block credentials."""
    languages: tuple[str, ...] = ("en",)
    """Languages of the texts. Default: en."""
    responses: Responses = Responses.PASS
    """Pass or Mask. Default: Pass."""
    key_file: str | None = None
    """File of 32 random bytes, made when missing: with it a value has the same token after a restart.
    Default: a new key at each start."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that scan. Default: 1."""
    traces: HttpUrl | None = None
    """Where spans go (OTLP over HTTP), such as http://127.0.0.1:4318/v1/traces. Default: nowhere."""


@dataclass(frozen=True, slots=True)
class StandaloneSettings:
    """A checked guard.yaml."""

    host: str
    port: int
    upstreams: Mapping[str, Upstream]
    rules: GuardRules
    responses: Responses
    key_file: Path | None
    workers: int
    traces: str | None = None


def read_guard_file(path: Path) -> StandaloneSettings:
    """Read and check a file; raises ConfigurationError with every problem in it."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        file = GuardFile.model_validate(document if document is not None else {}, extra="forbid")
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigurationError(f"{path} is not YAML") from None
    except ValidationError as error:
        problems = "; ".join(str(problem) for problem in field_problems(error, GuardFile))
        raise ConfigurationError(f"{path}: {problems}") from None
    host, _, port = file.listen.rpartition(":")
    named = {name: getattr(file.upstreams, name) for name in Upstreams.model_fields}
    known = {name: upstream for name, upstream in named.items() if upstream is not None}
    if not known:
        raise ConfigurationError(f"{path}: upstreams: name at least one of {', '.join(named)}")
    missing = [u.api_key_env for u in known.values() if u.api_key_env and u.api_key_env not in os.environ]
    if missing:
        raise ConfigurationError(f"{path}: the environment does not set {', '.join(missing)}")
    return StandaloneSettings(
        host=host,
        port=int(port),
        upstreams=known,
        rules=rules_of_policy(file.guard, languages=file.languages),
        responses=file.responses,
        key_file=path.parent / file.key_file if file.key_file else None,
        workers=file.workers,
        traces=file.traces,
    )
