"""What the supervisor tells everybody else: a small file, read by `status`, `down` and the next `up`."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, ValidationError

from cadre_local.paths import Home, write_private
from cadre_local.process import Identity, find


class Phase(StrEnum):
    """Life of the installation, and of one process in it."""

    STARTING = "Starting"
    READY = "Ready"
    BACKOFF = "Backoff"
    """Died and will be started again."""
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    FAILED = "Failed"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Child(_Record):
    """One supervised process."""

    name: str
    """`postgres`, `controller`, `model`, or `guard:<agent key>`."""
    phase: Phase
    process: Identity | None = None
    restarts: int = 0
    detail: str = ""
    """Why it is in this phase, when that is not plain."""
    log: str = ""


class Step(_Record):
    """One line of the progress display."""

    name: str
    done: bool = False
    detail: str = ""
    seconds: float = 0.0


class Failure(_Record):
    """Why a start failed."""

    reason: str
    message: str
    fix: str = ""


class Ports(_Record):
    """Loopback ports in use; 0 = not used."""

    public: int
    guard: int
    scripted: int = 0


class RunState(_Record):
    """The whole record."""

    version: int = 1
    phase: Phase
    supervisor: Identity
    ports: Ports
    children: tuple[Child, ...] = ()
    strays: tuple[Identity, ...] = ()
    """Everything below the supervisor: what a clean-up after a hard kill must look for."""
    steps: tuple[Step, ...] = ()
    failure: Failure | None = None
    goose: str = ""
    goose_version: str = ""
    cadre_version: str = ""
    database: str = ""
    """`embedded` or `external`."""
    scripted: str = ""
    """Scenario file when the model is the scripted one."""
    chart: str = ""
    warning: str = ""
    """What is not as it should be although the rest runs."""
    tenant: str = ""
    """Root of the chart in force."""

    @property
    def alive(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return find(self.supervisor) is not None


def save(home: Home, state: RunState) -> None:
    """Replace the record."""
    write_private(home.state, state.model_dump_json(indent=1))


def load(home: Home) -> RunState | None:
    """The record; None when there is none or it is unreadable."""
    try:
        return RunState.model_validate_json(home.state.read_bytes())
    except (OSError, ValidationError):
        return None
