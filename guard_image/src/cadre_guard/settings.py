"""What the guard is told by its environment, read once at the start; a wrong value ends it with one line."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cadre_guard.errors import ConfigurationError
from cadre_guard.place.settings import PodSettings, read_pod_settings

_PLACES = ("Desktop", "Pod")
_SANDBOX_MODES = ("Auto", "Off")
_ANALYZERS = ("Sidecar",)
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


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
    health_listen: tuple[str, int] | None = None
    pod: PodSettings | None = None
    """None on a desktop."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises ConfigurationError that names the variable and the fix."""
    in_pod = _choice(environment, "CADRE_PLACE", _PLACES) == "Pod"
    return Settings(
        agent=_agent(environment),
        controller=_url(environment),
        bootstrap_file=_existing_file(environment, "CADRE_BOOTSTRAP_FILE"),
        state_dir=Path(_required(environment, "CADRE_STATE_DIR")),
        goose=None if in_pod else _existing_file(environment, "CADRE_GOOSE"),
        isolate=_choice(environment, "CADRE_SANDBOX", _SANDBOX_MODES) == "Auto",
        ca_file=_existing_file(environment, "CADRE_CA_FILE") if environment.get("CADRE_CA_FILE") else None,
        log_level=_log_level(environment),
        health_listen=_listen(environment.get("CADRE_GUARD_HEALTH_LISTEN", "")),
        pod=read_pod_settings(environment) if in_pod else None,
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise ConfigurationError(f"{name} is not set")
    return value


def _agent(environment: Mapping[str, str]) -> str:
    value = _required(environment, "CADRE_AGENT")
    if value.count("/") != 1 or value.startswith("/") or value.endswith("/"):
        raise ConfigurationError(f"CADRE_AGENT must be namespace/name, not {value!r}")
    return value


def _url(environment: Mapping[str, str]) -> str:
    value = _required(environment, "CADRE_CONTROLLER").rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigurationError("CADRE_CONTROLLER must be the http(s) URL of the controller's guard port")
    return value


def _existing_file(environment: Mapping[str, str], name: str) -> Path:
    path = Path(_required(environment, name))
    if not path.is_file():
        raise ConfigurationError(f"{name} names no file: {path}")
    return path.absolute()


def _choice(environment: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = environment.get(name) or allowed[0]
    if value not in allowed:
        raise ConfigurationError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    return value


def _log_level(environment: Mapping[str, str]) -> str:
    _choice(environment, "CADRE_ANALYZER", _ANALYZERS)
    value = (environment.get("CADRE_LOG_LEVEL") or "INFO").upper()
    if value not in _LOG_LEVELS:
        raise ConfigurationError(f"CADRE_LOG_LEVEL must be one of {', '.join(_LOG_LEVELS)}")
    return value


def _listen(value: str) -> tuple[str, int] | None:
    if not value:
        return None
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigurationError("CADRE_GUARD_HEALTH_LISTEN must be host:port")
    return host, int(port)
