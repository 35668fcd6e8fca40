"""How an attempt ends: with a result, another try after a pause, or for good."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta

from cadre_api.protocol.guard import Completion
from cadre_api.protocol.tasks import TaskState
from cadre_controller.ports import Actor
from cadre_controller.services.groups import Groups
from cadre_controller.services.kernel import Facts, Kernel, queue_channel, system_actor, task_channels
from cadre_controller.services.task_rows import is_first_of_group
from cadre_controller.store.pool import Row
from cadre_controller.store.work import RowMissing, Statement, Work

BASE_SECONDS: Mapping[str, float] = {
    "LeaseExpired": 0.0,
    "TakenOver": 0.0,
    "AgentCrashed": 0.5,
    "ModelUnavailable": 5.0,
    "CredentialMissing": 20.0,
    "ModelStreamCut": 1.0,
    "ModelGarbage": 2.0,
    "TurnTimeout": 5.0,
    "Draining": 0.0,
}
"""First pause before another attempt; it doubles with each one. The usual five attempts outlast the two
minutes that a kubelet may take to mount a Secret."""
CRASHES = frozenset({"AgentCrashed", "LeaseExpired"})
"""Endings in which whoever worked on the task is gone."""
POISON_CRASHES = 3
"""A task that takes this many down with it is not tried again by itself."""
_POISON = f"{POISON_CRASHES} attempts ended with the agent gone; look into it, then redrive or drop it"
DEFAULT_BASE_SECONDS = 2.0
MAX_PAUSE_SECONDS = 120.0


def pause_before(reason: str, attempt: int, jitter: float) -> timedelta:
    """Exponential backoff with jitter in [0, 1): between half and the whole of base * 2^(attempt - 1)."""
    base = BASE_SECONDS.get(reason, DEFAULT_BASE_SECONDS)
    whole = min(base * 2.0 ** max(attempt - 1, 0), MAX_PAUSE_SECONDS)
    return timedelta(seconds=whole * (0.5 + jitter / 2))


class Endings:
    """Ends attempts; each ending is one commit of task, story and audit."""

    def __init__(self, kernel: Kernel, groups: Groups) -> None:
        self._kernel = kernel
        self._groups = groups

    async def succeed(
        self, row: Row, actor: Actor, body: Completion, also: tuple[Statement, ...] = ()
    ) -> bool:
        """The attempt answered; `also` is committed with it. False, and nothing is done, when its lease is
        gone."""
        end = (TaskState.SUCCEEDED.value, body.result, body.reason, "", self._kernel.clock.now())
        statement = Statement("task_end", (row["tenant"], row["id"], row["fence"], *end))
        line = _line(row, TaskState.SUCCEEDED, body.reason)
        ended = await self._commit(row, actor, (statement, *also), line, "task.succeeded")
        if ended and is_first_of_group(row):
            await self._groups.settle(row["tenant"], row["group_id"])
        return ended

    async def fail(self, row: Row, actor: Actor, body: Completion) -> None:
        """The attempt failed: another one while there are any, else Dead; not retryable: Failed."""
        reason = body.reason or "Failed"
        if not body.retryable:
            await self._finish(row, actor, TaskState.FAILED, reason=reason, message=body.message)
        else:
            await self._again(row, actor, reason, body.message)

    async def take_back(self, row: Row, reason: str, *, lapsed_at: datetime | None = None) -> None:
        """The holder is gone: the task queues again (or is Dead); with `lapsed_at` only if the lease still
        is."""
        actor = system_actor(row["tenant"], "leases")
        guard: tuple[Statement, ...] = ()
        if lapsed_at is not None:
            key = (row["tenant"], row["id"], row["fence"], lapsed_at)
            guard = (Statement("task_lease_lapsed", key),)
        await self._again(row, actor, reason, "", guard)

    async def overdue(self, row: Row) -> None:
        """The deadline has passed."""
        actor = system_actor(row["tenant"], "deadlines")
        await self._finish(row, actor, TaskState.FAILED, reason="DeadlineExceeded")

    async def _again(
        self, row: Row, actor: Actor, reason: str, message: str, guard: tuple[Statement, ...] = ()
    ) -> None:
        crashed = reason in CRASHES
        if crashed and row["crashes"] + 1 >= POISON_CRASHES:
            await self._finish(row, actor, TaskState.DEAD, reason="Poison", message=_POISON, guard=guard)
            return
        if row["attempt"] >= row["max_attempts"]:
            await self._finish(row, actor, TaskState.DEAD, reason=reason, message=message, guard=guard)
            return
        now = self._kernel.clock.now()
        pause = pause_before(reason, row["attempt"], random.random())  # noqa: S311 - jitter, not a secret
        requeue = Statement(
            "task_requeue",
            (row["tenant"], row["id"], row["fence"], reason, message, now + pause, now, int(crashed)),
        )
        data = {"reason": reason, "attempt": row["attempt"], "pauseSeconds": round(pause.total_seconds(), 3)}
        await self._commit(row, actor, (*guard, requeue), ("Requeued", reason, data), "task.requeue")

    async def _finish(
        self,
        row: Row,
        actor: Actor,
        state: TaskState,
        *,
        reason: str,
        message: str = "",
        guard: tuple[Statement, ...] = (),
    ) -> None:
        now = self._kernel.clock.now()
        finish = Statement(
            "task_finish",
            (row["tenant"], row["id"], row["fence"], state.value, "", reason, message, now),
        )
        line = _line(row, state, reason, message)
        await self._commit(row, actor, (*guard, finish), line, f"task.{state.value.lower()}")

    async def _commit(
        self,
        row: Row,
        actor: Actor,
        statements: tuple[Statement, ...],
        line: tuple[str, str, dict[str, object]],
        action: str,
    ) -> bool:
        """Commit an ending; when the task has changed meanwhile, nothing happens, and False tells it."""
        kernel, tenant, task_id = self._kernel, row["tenant"], row["id"]
        kind, summary, data = line
        facts = Facts(data | {"pauseSeconds": str(data.get("pauseSeconds", 0))}, trace_id=row["trace_id"])
        parent = row["parent_task_id"]
        others = (queue_channel(tenant, row["agent"]), *((f"task:{tenant}:{parent}",) if parent else ()))
        work = Work(
            tenant,
            (*statements, kernel.event(tenant, task_id, kind, summary, data)),
            frozenset({f"task:{task_id}"}),
            audit=(kernel.audit(actor, action, f"task:{task_id}", kind, facts),),
            notify=task_channels(tenant, task_id, others),
        )
        try:
            await kernel.submit(work)
        except RowMissing:
            return False
        return True


def _line(row: Row, state: TaskState, reason: str, message: str = "") -> tuple[str, str, dict[str, object]]:
    """An ending's line in the task's story."""
    return state.value, message or reason, {"reason": reason, "attempt": row["attempt"]}
