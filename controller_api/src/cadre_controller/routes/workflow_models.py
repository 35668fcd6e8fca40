"""Bodies of the workflows' routes."""

from pydantic import Field

from cadre_api.protocol.base import Message
from cadre_api.protocol.workflows import ExecutionState, ExecutionView, WorkflowView


class WorkflowPage(Message):
    """The workflows of the chart, by name."""

    items: tuple[WorkflowView, ...]


class ExecutionQuery(Message):
    """Which runs to list."""

    state: ExecutionState | None = None
    workflow: str = Field(default="", max_length=128)
    """`namespace/name`, or the name alone."""
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str = ""


class ExecutionPage(Message):
    """Runs, newest first, without their timelines."""

    items: tuple[ExecutionView, ...]
    next: str = ""
