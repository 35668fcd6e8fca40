"""Tasks."""

from cadre_api.protocol.base import type_json
from cadre_api.protocol.tasks import RouteResult, TaskCreate, TaskEvent, TaskState, TaskView
from cadre_controller.ports import Actor
from cadre_controller.services.models import Created, Page, ParentTask, StatusView


class TaskService:
    async def create(self, actor: Actor, body: TaskCreate, *, idempotency_key: str = "", parent: ParentTask | None = None, traceparent: str = "") -> Created:
        """Raises IdempotencyKeyReused, Denied, NotFound(NoAgent), BudgetExceeded, InvalidInput, Overloaded. Views are masked."""
    async def route(self, actor: Actor, body: TaskCreate) -> RouteResult: ...
    async def get(self, tenant: str, task_id: str) -> TaskView: ...
    async def list(self, tenant: str, *, state: TaskState | None = None, agent: str = "", limit: int = 50, cursor: str = "") -> Page[TaskView]: ...
    async def cancel(self, actor: Actor, task_id: str) -> TaskView: ...
    async def events(self, tenant: str, task_id: str, *, after: int = 0, tree: bool = False, limit: int = 500) -> tuple[TaskEvent, ...]:
        """`seq` is unique over the whole tenant, so one cursor serves a tree."""
    async def wait_events(self, tenant: str, task_id: str, *, after: int, tree: bool, wait_seconds: float) -> tuple[TaskEvent, ...]: ...
    async def wait_final(self, tenant: str, task_id: str, wait_seconds: float) -> TaskView: ...
    async def status(self, tenant: str, any_id: str) -> StatusView:
        """Task or session id."""
    async def add_event(self, tenant: str, task_id: str, kind: str, summary: str = "", data: type_json | None = None, duration_ms: float | None = None) -> None:
        """A line of the story; texts masked by the caller."""
