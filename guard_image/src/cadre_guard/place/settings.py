"""What a guard in a pod is told beyond the common settings; defaults are what the pod's manifest uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cadre_guard.environment import Address, Environment

_TRANSPORTS = ("Goose", "WebSocket", "Stdio")
_LONGEST_DRAIN_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class PodSettings:
    """See docs/protocol.md, table of settings."""

    shared_dir: Path
    """Where the agent's container reads what it needs to start."""
    agent: Address
    """Where the agent listens for ACP."""
    transport: str
    """`Goose`: its WebSocket and `/health`; `WebSocket`: another agent's; `Stdio`: the shim's TCP port."""
    probes: Address
    model: Address
    tools: Address
    home: str
    """The agent's working directory, as it sees it."""
    egress_probes: tuple[Address, ...]
    drain_seconds: float
    termination_log: Path
    shim_target: Path | None
    """Where the agent's starter is left, for images that hold no shell; None = somebody else does that."""


def read_pod_settings(environment: Mapping[str, str]) -> PodSettings:
    """Raises ConfigurationError that names the variable and the fix."""
    reader = Environment(environment)
    return PodSettings(
        shared_dir=Path(reader.text("CADRE_SHARED_DIR", "/run/cadre")),
        agent=reader.loopback("CADRE_AGENT_ADDRESS", "127.0.0.1:3284"),
        transport=reader.choice("CADRE_AGENT_TRANSPORT", _TRANSPORTS),
        probes=reader.address("CADRE_PROBE_LISTEN", "0.0.0.0:8100"),
        model=reader.loopback("CADRE_MODEL_LISTEN", "127.0.0.1:8101"),
        tools=reader.loopback("CADRE_TOOL_LISTEN", "127.0.0.1:8102"),
        home=reader.text("CADRE_AGENT_HOME", "/home/agent"),
        egress_probes=reader.addresses("CADRE_EGRESS_PROBES"),
        drain_seconds=reader.seconds("CADRE_DRAIN_SECONDS", "1800", _LONGEST_DRAIN_SECONDS),
        termination_log=Path(reader.text("CADRE_TERMINATION_LOG", "/dev/termination-log")),
        shim_target=Path(target) if (target := reader.text("CADRE_SHIM_TARGET", "")) else None,
    )
