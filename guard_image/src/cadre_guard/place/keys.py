"""The hand-shake file of a pod: what the agent's container reads before it starts, and nobody else knows.

New keys part us from an agent for good: one that was started with the old ones accepts ours no more, and the
kubelet replaces it.
"""

import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cadre_api.protocol.guard import AgentBundle
from cadre_guard.place.port import EndpointKeys

FILE = "agent.env"
_ACP, _MODEL_KEY, _BASE_PATH = "CADRE_ACP_SECRET", "OPENAI_API_KEY", "OPENAI_BASE_PATH"
_GOOSE_ACP = "GOOSE_SERVER__SECRET_KEY"
_RIGHTS = "CADRE_HOME_RIGHTS"
_PATH_END = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class PodKeys:
    """Everything secret between guard and agent."""

    acp: str
    """What we show the agent."""
    endpoints: EndpointKeys
    """What the agent shows us."""
    home_rights: str
    """Under which rights its HOME is filled; the agent's container wipes a HOME of others."""


def home_rights(bundle: AgentBundle) -> str:
    """What the agent's memory may hold: agents of equal value may share a HOME, one after the other."""
    rights = {
        "clearance": sorted(bundle.clearance),
        "extensions": {name: sorted(tools) for name, tools in sorted(bundle.goose_extensions.items())},
        "command": list(bundle.runtime_command),
    }
    return hashlib.sha256(json.dumps(rights).encode()).hexdigest()[:32]


class KeyFile:
    """Reads and writes the file; only the guard may write its directory."""

    def __init__(self, folder: Path, model_url: str) -> None:
        self._file = folder / FILE
        self._model_url = model_url

    def read(self) -> PodKeys | None:
        """The keys an agent may have been started with; None when there are none or they make no sense."""
        try:
            lines = self._file.read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            return None
        found = dict(line.split("=", 1) for line in lines if "=" in line)
        path = found.get(_BASE_PATH, "")
        if not (
            found.get(_ACP) and found.get(_MODEL_KEY) and found.get(_RIGHTS) and path.endswith(_PATH_END)
        ):
            return None
        endpoints = EndpointKeys(path[1 : -len(_PATH_END)], found[_MODEL_KEY])
        return PodKeys(found[_ACP], endpoints, found[_RIGHTS])

    def renew(self, rights: str) -> PodKeys:
        """New keys, in the file before anyone is asked to use them."""
        keys = PodKeys(
            secrets.token_hex(32), EndpointKeys(secrets.token_hex(16), secrets.token_hex(32)), rights
        )
        text = "".join(f"{name}={value}\n" for name, value in self._values(keys).items())
        scratch = self._file.with_suffix(".new")
        scratch.unlink(missing_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o440)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        scratch.replace(self._file)
        return keys

    def _values(self, keys: PodKeys) -> dict[str, str]:
        return {
            _ACP: keys.acp,
            _GOOSE_ACP: keys.acp,
            "OPENAI_HOST": self._model_url,
            _BASE_PATH: f"/{keys.endpoints.prefix}{_PATH_END}",
            _MODEL_KEY: keys.endpoints.secret,
            _RIGHTS: keys.home_rights,
        }
