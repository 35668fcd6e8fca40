"""What the guard is told by its environment, read once at the start; a wrong value ends it with one line."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cadre_guard.environment import Address, Environment
from cadre_guard.errors import ConfigurationError
from cadre_guard.place.settings import PodSettings, read_pod_settings

_PLACES = ("Desktop", "Pod")
_SANDBOX_MODES = ("Auto", "Off")
_ANALYZERS = ("Sidecar", "Node")
_ANALYZER_SECONDS = "30"
_LONGEST_WAIT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class NodeAnalyzer:
    """The analyzer of our machine."""

    url: str
    seconds: float
    """How long a text waits for it while it is away or busy."""


@dataclass(frozen=True, slots=True)
class Settings:
    """See docs/protocol.md, table of settings."""

    agent: str
    controller: str
    bootstrap_file: Path
    state_dir: Path
    goose: Path | None = None
    """The agent's program; None in a pod, where it is a container of its own."""
    isolate: bool = True
    ca_file: Path | None = None
    """Who signs the controller's certificate; None = the system's authorities."""
    log_level: str = "INFO"
    health_listen: Address | None = None
    pod: PodSettings | None = None
    """None on a desktop."""
    analyzer: NodeAnalyzer | None = None
    """None: the guard reads texts itself."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises ConfigurationError that names the variable and the fix."""
    reader = Environment(environment)
    in_pod = reader.choice("CADRE_PLACE", _PLACES) == "Pod"
    return Settings(
        agent=_agent(reader),
        controller=reader.url("CADRE_CONTROLLER"),
        bootstrap_file=reader.file("CADRE_BOOTSTRAP_FILE"),
        state_dir=Path(reader.required("CADRE_STATE_DIR")),
        goose=None if in_pod else reader.file("CADRE_GOOSE"),
        isolate=reader.choice("CADRE_SANDBOX", _SANDBOX_MODES) == "Auto",
        ca_file=reader.optional_file("CADRE_CA_FILE"),
        log_level=reader.log_level(),
        health_listen=_listen(reader),
        pod=read_pod_settings(environment) if in_pod else None,
        analyzer=_analyzer(reader),
    )


def _agent(reader: Environment) -> str:
    value = reader.required("CADRE_AGENT")
    if value.count("/") != 1 or value.startswith("/") or value.endswith("/"):
        raise ConfigurationError(f"CADRE_AGENT must be namespace/name, not {value!r}")
    return value


def _analyzer(reader: Environment) -> NodeAnalyzer | None:
    if reader.choice("CADRE_ANALYZER", _ANALYZERS) == "Sidecar":
        return None
    return NodeAnalyzer(
        url=reader.url("CADRE_ANALYZER_URL", ("https",)),
        seconds=reader.seconds("CADRE_ANALYZER_SECONDS", _ANALYZER_SECONDS, _LONGEST_WAIT_SECONDS),
    )


def _listen(reader: Environment) -> Address | None:
    name = "CADRE_GUARD_HEALTH_LISTEN"
    return reader.address(name, "") if reader.text(name) else None
