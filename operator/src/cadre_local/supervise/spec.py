"""What one supervised program is: plain values, made in one place per program and started in another."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


def _nothing() -> None:
    return None


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """A program to keep running."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    log: Path
    cwd: Path
    prepare: Callable[[], None] = field(default=_nothing)
    """Runs before every start."""
    ready: Callable[[], bool] = field(default=_always)
    """Whether it serves; may block for a moment, is called in a thread."""
    uid: int = -1
    gid: int = -1
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends when the supervisor dies."""
    stop_grace: float = 15.0
    """Seconds between asking and killing."""
    ready_within: float = 60.0
    """Seconds until a start that is not ready has failed."""
