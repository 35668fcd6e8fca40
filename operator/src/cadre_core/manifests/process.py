"""An agent on a desktop: its guard as a child process, which starts the agent inside a sandbox by itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from cadre_core.model import EffectiveAgent


@dataclass(frozen=True, slots=True)
class DesktopHost:
    """Where things are on this desktop."""

    python: str
    goose: str
    controller: str
    """URL of the guard port."""
    state_root: str
    """Directory that holds one private directory per agent."""
    bootstrap_root: str
    sandbox: str = "Auto"
    log_level: str = "info"


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A child process: nothing of the parent's environment is inherited but what stands here."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    state_dir: str


def process_spec(agent: EffectiveAgent, host: DesktopHost) -> ProcessSpec:
    """Return the guard's process of one agent (settings: docs/protocol.md)."""
    folder = agent.key.replace("/", ".")
    state = f"{host.state_root}/{folder}"
    return ProcessSpec(
        name=f"guard-{folder}",
        command=(host.python, "-m", "cadre_guard"),
        env={
            "CADRE_AGENT": agent.key,
            "CADRE_CONTROLLER": host.controller,
            "CADRE_BOOTSTRAP_FILE": f"{host.bootstrap_root}/{folder}",
            "CADRE_GOOSE": host.goose,
            "CADRE_SANDBOX": host.sandbox,
            "CADRE_STATE_DIR": state,
            "CADRE_ANALYZER": "Sidecar",
            "CADRE_LOG_LEVEL": host.log_level,
        },
        state_dir=state,
    )
