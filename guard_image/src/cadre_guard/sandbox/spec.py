"""What guard and launcher say to each other: one JSON line each way, the listeners travel beside the answer.

Standard library only: the launcher must start fast and must work before anything else is imported.
"""

import json
from dataclasses import asdict, dataclass, field

HOME = "/home/agent"
WORKDIR = "/work"
AGENT_BINARY = "/opt/agent/bin"
AGENT_UID = 1000
NAMESPACES = ("user", "mount", "pid", "network", "ipc", "uts")
"""Order in which they are tried: `user` first, because it gives the rights for the others."""


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """What to run and what it may see. Paths in `files` are as the agent sees them."""

    argv: tuple[str, ...]
    """`argv[0]` is the program's path on the host; inside it appears as `AGENT_BINARY`."""
    environment: dict[str, str]
    """`@HOME@` and `@PORT0@`, `@PORT1@` … stand for what is known only inside."""
    files: dict[str, str]
    """Path below HOME -> text, written before the start."""
    ports: tuple[int, ...]
    """Listeners on 127.0.0.1 that the guard is handed."""
    isolate: bool = True
    home: str = HOME
    """Where HOME is when no mount namespace can be had (host path)."""

    def to_line(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    def environment_for(self, home: str, ports: list[int]) -> dict[str, str]:
        """The environment with its placeholders filled."""
        filled = {}
        for name, value in self.environment.items():
            value = value.replace("@HOME@", home)
            for index, port in enumerate(ports):
                value = value.replace(f"@PORT{index}@", str(port))
            filled[name] = value
        return filled

    @staticmethod
    def from_line(line: bytes) -> "LaunchSpec":
        """Inverse of `to_line`; raises ValueError or KeyError on anything else."""
        raw = json.loads(line)
        return LaunchSpec(
            argv=tuple(raw["argv"]),
            environment=dict(raw["environment"]),
            files=dict(raw["files"]),
            ports=tuple(raw["ports"]),
            isolate=bool(raw["isolate"]),
            home=str(raw["home"]),
        )


@dataclass(frozen=True, slots=True)
class LaunchReport:
    """What holds, as read back from the kernel after the fact."""

    boundary: dict[str, bool] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """Why something does not hold: stage and errno name."""
    error: str = ""

    def to_line(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @staticmethod
    def from_line(line: bytes) -> "LaunchReport":
        """Inverse of `to_line`; raises ValueError or KeyError on anything else."""
        raw = json.loads(line)
        return LaunchReport(
            boundary=dict(raw["boundary"]), notes=tuple(raw["notes"]), error=str(raw["error"])
        )
