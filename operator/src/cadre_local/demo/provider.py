"""Which model plays the demo: the scripted one, or a real one that somebody chose and that answers."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from cadre_local.errors import CadreError, Exit
from cadre_local.report import reachable

DEFAULTS = {
    "openai": ("https://api.openai.com/v1", "gpt-4o-mini"),
    "ollama": ("http://127.0.0.1:11434", "qwen3:8b"),
}
"""Base URL and model where DEMO_BASE_URL and DEMO_MODEL say nothing."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A model for the demo; `dialect` is empty for the scripted one."""

    dialect: str = ""
    base_url: str = ""
    model: str = ""
    key: str = ""

    @property
    def scripted(self) -> bool:
        """Whether answers come from a file."""
        return not self.dialect


def choose(environ: Mapping[str, str] = os.environ) -> Provider:
    """From DEMO_PROVIDER, DEMO_BASE_URL, DEMO_MODEL, DEMO_API_KEY; raises what is missing, before a start."""
    dialect = environ.get("DEMO_PROVIDER", "scripted")
    if dialect == "scripted":
        return Provider()
    if dialect not in DEFAULTS:
        known = ", ".join(("scripted", *DEFAULTS))
        raise CadreError(
            "UnknownProvider", f"DEMO_PROVIDER={dialect} is not known", f"use one of {known}", Exit.USAGE
        )
    url, model = DEFAULTS[dialect]
    key = environ.get("DEMO_API_KEY") or environ.get("OPENAI_API_KEY", "")
    chosen = Provider(dialect, environ.get("DEMO_BASE_URL", url), environ.get("DEMO_MODEL", model), key)
    if dialect == "openai" and not key and chosen.base_url == url:
        raise CadreError("CredentialMissing", f"{url} needs a key", "set DEMO_API_KEY", Exit.USAGE)
    if not reachable(chosen.base_url):
        raise CadreError(
            "ProviderUnreachable",
            f"nothing answers at {chosen.base_url}",
            "start it, set DEMO_BASE_URL, or leave DEMO_PROVIDER out for the scripted model",
            Exit.UNREACHABLE,
        )
    return chosen


def environment(provider: Provider) -> dict[str, str]:
    """What the controller must know to use it: the key goes there and nowhere else."""
    return {"CADRE_SECRET_DEMO_APIKEY": provider.key} if provider.key else {}


def specification(provider: Provider) -> dict[str, object]:
    """The spec of the ModelProvider that takes the place of the chart's."""
    spec: dict[str, object] = {
        provider.dialect: {"baseURL": provider.base_url},
        "models": [{"name": provider.model, "contextWindow": 128_000}],
    }
    if provider.key:
        spec["credentialsRef"] = {"secret": {"name": "demo", "key": "apiKey"}}
    return spec
