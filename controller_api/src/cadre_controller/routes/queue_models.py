"""Bodies of the queue's routes: dead letters, schedules, and the question who would do a task."""

from datetime import datetime

from pydantic import Field

from cadre_api.protocol.base import Message
from cadre_api.protocol.tasks import FanOut, RouteResult, TaskCreate


class DeadLetterQuery(Message):
    """Which dead letters to list."""

    agent: str = ""
    reason: str = ""
    """Why it died, e.g. `Poison`."""
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str = ""


class ScheduleCreate(Message):
    """A task that comes again."""

    name: str = Field(min_length=1, max_length=128)
    cron: str = Field(min_length=9, max_length=128)
    """`minute hour day-of-month month day-of-week`."""
    time_zone: str = Field(default="UTC", max_length=64)
    task: TaskCreate


class ScheduleBody(Message):
    """A schedule; its task stays sealed."""

    id: str
    name: str
    state: str
    """Active | Paused."""
    cron: str
    time_zone: str
    owner: str
    next_at: datetime
    last_at: datetime | None
    last_task: str
    last_reason: str
    """Why the last run made no task; empty = it did."""
    created_at: datetime


class ScheduleQuery(Message):
    """Which schedules to list."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: str = ""


class SchedulePage(Message):
    """Schedules, newest first."""

    items: tuple[ScheduleBody, ...]
    next: str = ""


class Constraints(Message):
    """What an agent must be, besides able."""

    role: str = ""
    languages: tuple[str, ...] = ()
    data_residency: str = ""
    exclude: tuple[str, ...] = ()


class RouteQuestion(Message):
    """Who would do this?"""

    task: str = Field(min_length=1, max_length=200_000)
    skills: tuple[str, ...] = ()
    constraints: Constraints = Constraints()
    fan_out: FanOut | None = None


class RouteAnswer(Message):
    """The agents, best first, and why."""

    agent_targets: tuple[str, ...]
    route: RouteResult
