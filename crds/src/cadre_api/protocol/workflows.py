"""Workflows and their runs as clients see them."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from cadre_api.protocol.base import Message, type_json


class ExecutionState(StrEnum):
    """Life of a run; the last three are final."""

    RUNNING = "Running"
    STOPPING = "Stopping"
    """What runs is being stopped, what is done is being undone."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class WorkflowParameter(Message):
    """One input of a workflow."""

    name: str
    type: str
    required: bool = False
    default: str = ""
    description: str = ""


class WorkflowView(Message):
    """A workflow of the chart."""

    name: str
    """`namespace/name`."""
    description: str = ""
    parameters: tuple[WorkflowParameter, ...] = ()
    steps: tuple[str, ...] = ()
    """Names, in an order that respects what depends on what; those that only undo come last."""


class ExecutionCreate(Message):
    """POST /api/v1/workflows/{name}/execute. Texts are masked before anything is committed."""

    parameters: type_json = {}


class ExecutionRetry(Message):
    """POST /api/v1/executions/{id}/retry."""

    step: str = Field(min_length=1, max_length=63)
    """The step to run again, with all that depends on it."""


class StepView(Message):
    """One step of a run, or one element of a step that runs for each of a list."""

    name: str
    item: int = -1
    """Place in the list; -1 = the step runs once."""
    kind: str
    """task | approval | message | wait | data | http | workflow."""
    state: str
    """Running | Succeeded | Failed | Skipped | Cancelled."""
    ref: str = ""
    """Id of its task, approval, request or run."""
    result: object = None
    reason: str = ""
    message: str = ""
    round: int = 1
    current: bool = True
    """False = it was run again since."""
    started_at: datetime
    ended_at: datetime | None = None
    due_at: datetime | None = None


class ExecutionView(Message):
    """A run with its timeline; texts are masked, restored for the reader."""

    id: str
    tenant: str
    workflow: str
    state: ExecutionState
    requester: str
    session_id: str
    parent_id: str = ""
    parameters: type_json = {}
    result: object = None
    """Results of the last steps, by name; once it has succeeded."""
    reason: str = ""
    round: int = 1
    """How often it was begun: 1 + retries."""
    created_at: datetime
    ended_at: datetime | None = None
    due_at: datetime | None = None
    steps: tuple[StepView, ...] = ()
    """In the order in which they began; empty in listings."""
