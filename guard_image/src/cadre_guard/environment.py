"""Variables of the environment as typed values; a wrong one names itself and the fix."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cadre_guard.errors import ConfigurationError

Address = tuple[str, int]
_LOOPBACK = ("127.0.0.1", "::1")
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True)
class Environment:
    """Every method raises ConfigurationError."""

    values: Mapping[str, str]

    def text(self, name: str, default: str = "") -> str:
        """Without white space around it."""
        return self.values.get(name, "").strip() or default

    def required(self, name: str) -> str:
        """A text that must be there."""
        value = self.text(name)
        if not value:
            raise ConfigurationError(f"{name} is not set")
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """One of several words, the first by default."""
        value = self.text(name, allowed[0])
        if value not in allowed:
            raise ConfigurationError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
        return value

    def log_level(self) -> str:
        """How much is logged."""
        value = self.text("CADRE_LOG_LEVEL", "INFO").upper()
        if value not in _LOG_LEVELS:
            raise ConfigurationError(f"CADRE_LOG_LEVEL must be one of {', '.join(_LOG_LEVELS)}")
        return value

    def file(self, name: str) -> Path:
        """A file that is there."""
        path = Path(self.required(name))
        if not path.is_file():
            raise ConfigurationError(f"{name} names no file: {path}")
        return path.absolute()

    def optional_file(self, name: str) -> Path | None:
        """The same, or nothing."""
        return self.file(name) if self.text(name) else None

    def url(self, name: str, schemes: tuple[str, ...] = ("http", "https")) -> str:
        """A base URL, without a slash at its end."""
        value = self.required(name).rstrip("/")
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.netloc:
            raise ConfigurationError(f"{name} must be a URL that begins with {' or '.join(schemes)}")
        return value

    def address(self, name: str, default: str) -> Address:
        """`host:port`."""
        return self._parse(name, self.text(name, default))

    def loopback(self, name: str, default: str) -> Address:
        """The same, of this host alone."""
        host, port = self.address(name, default)
        if host not in _LOOPBACK:
            raise ConfigurationError(f"{name} must be on 127.0.0.1: only the agent beside us may reach it")
        return host, port

    def addresses(self, name: str) -> tuple[Address, ...]:
        """A comma list of `host:port`."""
        items = (part.strip() for part in self.text(name).split(","))
        return tuple(self._parse(name, item) for item in items if item)

    def seconds(self, name: str, default: str, longest: float) -> float:
        """A time."""
        try:
            value = float(self.text(name, default))
        except ValueError:
            value = -1.0
        if not 0 <= value <= longest:
            raise ConfigurationError(f"{name} must be a number of seconds up to {longest:g}")
        return value

    def count(self, name: str, default: str, most: int) -> int:
        """A number from 1."""
        value = self.text(name, default)
        if not value.isdecimal() or not 1 <= int(value) <= most:
            raise ConfigurationError(f"{name} must be a number from 1 to {most}")
        return int(value)

    def _parse(self, name: str, value: str) -> Address:
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigurationError(f"{name}: {value!r} is not host:port")
        return host.strip("[]"), int(port)
