"""What the analyzer is told by its environment, read once at the start."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cadre_guard.environment import Address, Environment

_MOST_WORKERS = 64


@dataclass(frozen=True, slots=True)
class AnalyzerSettings:
    """See docs/protocol.md, table of settings."""

    controller: str
    controller_address: str
    """Where its name leads to; empty = ask DNS."""
    ca_file: Path | None
    certificate: Path
    key: Path
    listen: Address
    probes: Address
    workers: int
    log_level: str


def read_analyzer_settings(environment: Mapping[str, str]) -> AnalyzerSettings:
    """Raises ConfigurationError that names the variable and the fix."""
    reader = Environment(environment)
    return AnalyzerSettings(
        controller=reader.url("CADRE_CONTROLLER"),
        controller_address=reader.text("CADRE_CONTROLLER_ADDRESS", ""),
        ca_file=reader.optional_file("CADRE_CA_FILE"),
        certificate=reader.file("CADRE_TLS_CERT"),
        key=reader.file("CADRE_TLS_KEY"),
        listen=reader.address("CADRE_ANALYZER_LISTEN", "0.0.0.0:7442"),
        probes=reader.address("CADRE_PROBE_LISTEN", "0.0.0.0:8080"),
        workers=reader.count("CADRE_ANALYZER_WORKERS", "1", _MOST_WORKERS),
        log_level=reader.log_level(),
    )
