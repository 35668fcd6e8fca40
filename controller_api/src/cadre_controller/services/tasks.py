"""Tasks from the requester's side: created once per key, masked before anything is stored, watched until
they end."""

from collections.abc import Sequence

from cadre_api.protocol.base import type_json
from cadre_api.protocol.tasks import RouteResult, TaskCreate, TaskEvent, TaskState, TaskView
from cadre_controller.errors import BudgetExceeded, Conflict, Denied, NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.approvals import ApprovalService
from cadre_controller.services.intake import BY_HAND, Intake, Origin
from cadre_controller.services.kernel import Facts, Kernel, queue_channel, task_channels
from cadre_controller.services.models import Created, Page, ParentTask, StatusView
from cadre_controller.services.sessions import SessionService
from cadre_controller.services.task_rows import FINAL, event_view, task_view
from cadre_controller.store.pool import Row
from cadre_controller.store.work import RowMissing, Statement, Work


class TaskService:
    """Create, read, cancel, watch."""

    def __init__(
        self, kernel: Kernel, intake: Intake, sessions: SessionService, approvals: ApprovalService
    ) -> None:
        self._kernel = kernel
        self._intake = intake
        self._sessions = sessions
        self._approvals = approvals

    async def create(
        self,
        actor: Actor,
        body: TaskCreate,
        *,
        idempotency_key: str = "",
        parent: ParentTask | None = None,
        traceparent: str = "",
        origin: Origin = BY_HAND,
    ) -> Created:
        """A durable task, or the one that this key made before.

        Raises IdempotencyKeyReused, NotFound(NoAgents, …), Denied, BudgetExceeded, InvalidInput,
        MaskingFailed, Overloaded.
        """
        try:
            return await self._intake.create(actor, body, idempotency_key, parent, traceparent, origin)
        except (Denied, BudgetExceeded) as refusal:
            facts = Facts({"reason": refusal.reason, "agent": body.agent, "role": body.role})
            entry = self._kernel.audit(actor, "task.create", f"tenant:{actor.tenant}", "denied", facts)
            await self._kernel.submit(Work(actor.tenant, audit=(entry,)))
            raise

    async def made(self, tenant: str, actor_id: str, idempotency_key: str) -> str:
        """The id of the task that this caller's key has made; empty = none."""
        return await self._intake.made(tenant, actor_id, idempotency_key)

    async def route(self, actor: Actor, body: TaskCreate) -> RouteResult:
        """Who would get it and why; commits nothing."""
        return await self._intake.dispatcher.choose(actor, body)

    async def get(self, tenant: str, task_id: str) -> TaskView:
        """As stored (masked). Raises NotFound(UnknownTask)."""
        return task_view(await self._row(tenant, task_id))

    async def of_trace(self, tenant: str, trace_id: str) -> tuple[str, ...]:
        """Ids of the tasks of a trace, oldest first."""
        rows = await self._kernel.db.fetch(tenant, "tasks_of_trace", tenant, trace_id)
        return tuple(row["id"] for row in rows)

    async def list(
        self,
        tenant: str,
        *,
        state: TaskState | None = None,
        agent: str = "",
        group: str = "",
        session: str = "",
        requester: str = "",
        limit: int = 50,
        cursor: str = "",
    ) -> Page[TaskView]:
        """Newest first; `cursor` is the id the last page ended with."""
        limit = min(limit, 200)
        filters = (state or "", agent, cursor, limit + 1, group, session, requester)
        rows = await self._kernel.db.fetch(tenant, "task_list", tenant, *filters)
        items = tuple(task_view(row) for row in rows[:limit])
        return Page(items, items[-1].id if len(rows) > limit else "")

    async def cancel(self, actor: Actor, task_id: str) -> TaskView:
        """End a task and its open children; the guard is told. A final task stays as it is."""
        tenant = actor.tenant
        row = await self._row(tenant, task_id)
        tree = await self._kernel.db.fetch(tenant, "task_tree", tenant, row["root_task_id"])
        for member in _subtree(task_id, tree):
            await self._cancel_one(actor, member)
        return await self.get(tenant, task_id)

    async def events(
        self, tenant: str, task_id: str, *, after: int = 0, tree: bool = False, limit: int = 500
    ) -> tuple[TaskEvent, ...]:
        """The story after a line number; `seq` is unique over the tenant, so one cursor serves a whole
        tree."""
        row = await self._row(tenant, task_id)
        name, key = ("task_events_tree", row["root_task_id"]) if tree else ("task_events", task_id)
        rows = await self._kernel.db.fetch(tenant, name, tenant, key, after, limit)
        return tuple(event_view(r) for r in rows)

    async def wait_events(
        self, tenant: str, task_id: str, *, after: int, tree: bool, wait_seconds: float
    ) -> tuple[TaskEvent, ...]:
        """The same, but waits until there is something new."""

        async def look() -> tuple[TaskEvent, ...] | None:
            return await self.events(tenant, task_id, after=after, tree=tree) or None

        channels = (f"story:{tenant}",) if tree else (f"task:{tenant}:{task_id}",)
        return await self._kernel.wakeups.until(channels, look, wait_seconds) or ()

    async def wait_final(self, tenant: str, task_id: str, wait_seconds: float) -> TaskView:
        """The task once it has ended or waits for a person, or as it is when the time is up."""

        async def look() -> TaskView | None:
            view = await self.get(tenant, task_id)
            return view if view.state in FINAL or view.state is TaskState.OUTCOME_UNKNOWN else None

        channels = (f"task:{tenant}:{task_id}",)
        found = await self._kernel.wakeups.until(channels, look, wait_seconds)
        return found or await self.get(tenant, task_id)

    async def status(self, tenant: str, any_id: str) -> StatusView:
        """A task or session with its tree and approvals. Raises NotFound."""
        if any_id.startswith("ses_"):
            session = await self._sessions.get(tenant, any_id)
            rows = await self._kernel.db.fetch(tenant, "tasks_of_session", tenant, any_id)
            approvals = await self._approvals.list(tenant, session_id=any_id)
            return StatusView(
                any_id, session.state, session, tuple(task_view(r) for r in rows), approvals.items
            )
        row = await self._row(tenant, any_id)
        tree = await self._kernel.db.fetch(tenant, "task_tree", tenant, row["root_task_id"])
        members = _subtree(any_id, tree)
        found = [a for m in members for a in (await self._approvals.list(tenant, task_id=m["id"])).items]
        session = await self._sessions.get(tenant, row["session_id"])
        return StatusView(any_id, row["state"], session, tuple(task_view(m) for m in members), tuple(found))

    async def add_event(
        self,
        tenant: str,
        task_id: str,
        kind: str,
        summary: str = "",
        data: type_json | None = None,
        duration_ms: float | None = None,
    ) -> None:
        """A line of the story; texts are masked by the caller. Raises NotFound(UnknownTask)."""
        line = self._kernel.event(tenant, task_id, kind, summary, data, duration_ms=duration_ms)
        try:
            await self._kernel.submit(Work(tenant, (line,), notify=task_channels(tenant, task_id)))
        except RowMissing:
            raise _unknown(task_id) from None

    async def _cancel_one(self, actor: Actor, row: Row) -> None:
        tenant, task_id = actor.tenant, row["id"]
        if row["state"] in FINAL:
            return
        now = self._kernel.clock.now()
        entry = self._kernel.audit(actor, "task.cancel", f"task:{task_id}")
        work = Work(
            tenant,
            (
                Statement("task_cancel", (tenant, task_id, "CancelledByRequester", now)),
                self._kernel.event(tenant, task_id, "Cancelled", "", {"by": actor.id}),
            ),
            frozenset({f"task:{task_id}"}),
            audit=(entry,),
            notify=task_channels(tenant, task_id, (queue_channel(tenant, row["agent"]),)),
        )
        try:
            await self._kernel.submit(work)
        except RowMissing:
            if (await self._row(tenant, task_id))["state"] not in FINAL:
                raise Conflict("StateChanged", "the task changed meanwhile", "retry") from None

    async def _row(self, tenant: str, task_id: str) -> Row:
        row = await self._kernel.db.fetch_one(tenant, "task_get", tenant, task_id)
        if row is None:
            row = await self._kernel.db.fetch_one(tenant, "task_past", tenant, task_id)
        if row is None:
            raise _unknown(task_id)
        return row


def _subtree(task_id: str, rows: Sequence[Row]) -> tuple[Row, ...]:
    """A task and everything below it; rows are in order of creation, so parents come first."""
    wanted = {task_id}
    found = []
    for row in rows:
        if row["id"] in wanted or row["parent_task_id"] in wanted:
            wanted.add(row["id"])
            found.append(row)
    return tuple(found)


def _unknown(task_id: str) -> NotFound:
    return NotFound("UnknownTask", f"there is no task {task_id}", "list the tasks")
