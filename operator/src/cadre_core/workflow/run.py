"""A run as it is recorded, and what is to be done next: plain values on both sides of the planner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cadre_api.v1alpha1 import Step

WHOLE = -1
"""`item` of a step that runs once."""


class RunState(StrEnum):
    """Life of a run; the last three are final."""

    RUNNING = "Running"
    STOPPING = "Stopping"
    """Something failed, or it is being cancelled: what runs is stopped, what is done is undone."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class StepState(StrEnum):
    """Life of a step; all but Running are final."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    CANCELLED = "Cancelled"


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a step, or of one element of a step that runs for each of a list."""

    name: str
    item: int
    state: StepState
    result: object = None
    reason: str = ""
    """CamelCase; why it failed or was skipped."""
    message: str = ""
    due: datetime | None = None
    """A wait is over then; everything else has run out of time."""

    @property
    def key(self) -> tuple[str, int]:
        """Unique within a run."""
        return self.name, self.item

    @property
    def done(self) -> bool:
        """Whether it changes no more."""
        return self.state is not StepState.RUNNING


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that the planner may know."""

    params: Mapping[str, object]
    records: Mapping[tuple[str, int], Record]
    cancelled: bool = False
    """Somebody asked for its end."""


@dataclass(frozen=True, slots=True)
class Start:
    """A step to begin now."""

    step: Step
    item: int
    due: datetime | None
    prompt: str = ""
    """Filled in; of a task or message."""
    values: Mapping[str, object] = field(default_factory=dict)
    """What `with` says; for an approval, the results of the steps before it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from a run's records."""

    state: RunState
    starts: tuple[Start, ...] = ()
    records: tuple[Record, ...] = ()
    """Facts that need no effect: worked out, skipped, waited, out of time."""
    stops: tuple[Record, ...] = ()
    """Steps whose task, approval or run is to be ended now."""
    due: datetime | None = None
    """When time alone changes something."""
    reason: str = ""
    result: object = None
    """Results of the last steps, by name."""
