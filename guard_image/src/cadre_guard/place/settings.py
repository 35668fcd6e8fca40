"""What a guard in a pod is told beyond the common settings; defaults are what the pod's manifest uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cadre_guard.errors import ConfigurationError

Address = tuple[str, int]
_TRANSPORTS = ("Goose", "WebSocket", "Stdio")
_LOOPBACK = ("127.0.0.1", "::1")
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
    reader = _Reader(environment)
    return PodSettings(
        shared_dir=Path(reader.text("CADRE_SHARED_DIR", "/run/cadre")),
        agent=reader.loopback("CADRE_AGENT_ADDRESS", "127.0.0.1:3284"),
        transport=reader.choice("CADRE_AGENT_TRANSPORT", _TRANSPORTS),
        probes=reader.address("CADRE_PROBE_LISTEN", "0.0.0.0:8100"),
        model=reader.loopback("CADRE_MODEL_LISTEN", "127.0.0.1:8101"),
        tools=reader.loopback("CADRE_TOOL_LISTEN", "127.0.0.1:8102"),
        home=reader.text("CADRE_AGENT_HOME", "/home/agent"),
        egress_probes=reader.addresses("CADRE_EGRESS_PROBES"),
        drain_seconds=reader.seconds("CADRE_DRAIN_SECONDS", "1800"),
        termination_log=Path(reader.text("CADRE_TERMINATION_LOG", "/dev/termination-log")),
        shim_target=Path(target) if (target := reader.text("CADRE_SHIM_TARGET", "")) else None,
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    environment: Mapping[str, str]

    def text(self, name: str, default: str) -> str:
        return self.environment.get(name, "").strip() or default

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, allowed[0])
        if value not in allowed:
            raise ConfigurationError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
        return value

    def address(self, name: str, default: str) -> Address:
        return self._parse(name, self.text(name, default))

    def loopback(self, name: str, default: str) -> Address:
        host, port = self.address(name, default)
        if host not in _LOOPBACK:
            raise ConfigurationError(f"{name} must be on 127.0.0.1: only the agent beside us may reach it")
        return host, port

    def addresses(self, name: str) -> tuple[Address, ...]:
        items = (part.strip() for part in self.environment.get(name, "").split(","))
        return tuple(self._parse(name, item) for item in items if item)

    def seconds(self, name: str, default: str) -> float:
        try:
            value = float(self.text(name, default))
        except ValueError:
            value = -1.0
        if not 0 <= value <= _LONGEST_DRAIN_SECONDS:
            raise ConfigurationError(f"{name} must be a number of seconds up to a week")
        return value

    def _parse(self, name: str, value: str) -> Address:
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigurationError(f"{name}: {value!r} is not host:port")
        return host.strip("[]"), int(port)
