"""Tasks that used up their attempts: kept until a person has them done again or drops them."""

from datetime import timedelta

from cadre_api.protocol.tasks import TaskState, TaskView
from cadre_controller.errors import Conflict, NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.kernel import Facts, Kernel, queue_channel, task_channels
from cadre_controller.services.models import Page
from cadre_controller.services.task_rows import task_view
from cadre_controller.store.pool import Row
from cadre_controller.store.work import RowMissing, Statement, Work

SECOND_CHANCE = timedelta(hours=1)
"""Deadline of a task that is done again."""


class DeadLetters:
    """Inspect, redrive, drop."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def list(
        self, tenant: str, *, agent: str = "", reason: str = "", limit: int = 50, cursor: str = ""
    ) -> Page[TaskView]:
        """Last to die first; `cursor` is the id the last page ended with."""
        limit = min(limit, 200)
        rows = await self._kernel.db.fetch(tenant, "dead_letters", tenant, agent, reason, cursor, limit + 1)
        items = tuple(task_view(row) for row in rows[:limit])
        return Page(items, items[-1].id if len(rows) > limit else "")

    async def redrive(self, actor: Actor, task_id: str) -> TaskView:
        """Queue it again with all its attempts. Raises NotFound, Conflict(NotDead)."""
        now = self._kernel.clock.now()
        statement = Statement("task_redrive", (actor.tenant, task_id, now + SECOND_CHANCE, now))
        return await self._decide(actor, task_id, statement, "Redriven")

    async def drop(self, actor: Actor, task_id: str) -> TaskView:
        """Give it up for good. Raises NotFound, Conflict(NotDead)."""
        statement = Statement("task_drop", (actor.tenant, task_id, self._kernel.clock.now()))
        return await self._decide(actor, task_id, statement, "Dropped")

    async def _decide(self, actor: Actor, task_id: str, statement: Statement, kind: str) -> TaskView:
        kernel, tenant = self._kernel, actor.tenant
        row = await self._row(tenant, task_id)
        facts = Facts({"reason": row["reason"], "attempt": row["attempt"]}, trace_id=row["trace_id"])
        work = Work(
            tenant,
            (statement, kernel.event(tenant, task_id, kind, row["reason"], {"by": actor.id})),
            frozenset({f"task:{task_id}"}),
            audit=(kernel.audit(actor, f"task.{kind.lower()}", f"task:{task_id}", "ok", facts),),
            notify=task_channels(tenant, task_id, (queue_channel(tenant, row["agent"]),)),
        )
        try:
            await kernel.submit(work)
        except RowMissing:
            raise _not_dead(task_id, (await self._row(tenant, task_id))["state"]) from None
        return task_view(await self._row(tenant, task_id))

    async def _row(self, tenant: str, task_id: str) -> Row:
        row = await self._kernel.db.fetch_one(tenant, "task_get", tenant, task_id)
        if row is None:
            raise NotFound("UnknownTask", f"there is no task {task_id}", "list the dead letters")
        return row


def _not_dead(task_id: str, state: TaskState) -> Conflict:
    return Conflict("NotDead", f"task {task_id} is {state}", "only dead tasks are redriven or dropped")
