"""Work handed out once: claims, heartbeats, results. Every later word about a task carries its fence."""

import math
import re
from collections.abc import Callable
from datetime import timedelta

from cadre_api.protocol.guard import ClaimResponse, Completion, HeartbeatResponse
from cadre_api.protocol.tasks import TaskState
from cadre_controller.errors import Conflict, LeaseLost
from cadre_controller.ports import AgentIdentity, Masker
from cadre_controller.services.callers import Callers
from cadre_controller.services.chart import ChartService
from cadre_controller.services.claims import Claims
from cadre_controller.services.endings import Endings
from cadre_controller.services.freezer import Freezer
from cadre_controller.services.kernel import Facts, Kernel, queue_channel, task_channels
from cadre_controller.services.masking import storable
from cadre_controller.services.messages import MessageService
from cadre_controller.services.models import HeldTask
from cadre_controller.services.task_rows import held_task
from cadre_controller.store.pool import Row
from cadre_controller.store.work import RowMissing, Statement, Work

FOR_A_TASK = "task"
"""`pending_approval` of a task that waits for another task."""
_REASON = re.compile(r"[A-Z][A-Za-z0-9]{1,60}")


class LeaseService:
    """What guards call."""

    def __init__(
        self,
        kernel: Kernel,
        chart: ChartService,
        endings: Endings,
        masker: Masker,
        freezer: Freezer,
        messages: MessageService,
        ttl: timedelta,
    ) -> None:
        self._kernel = kernel
        self._chart = chart
        self._masker = masker
        self._endings = endings
        self._freezer = freezer
        self._messages = messages
        self._ttl = ttl
        self.callers = Callers(kernel)
        self._claims = Claims(kernel, chart, freezer, messages, ttl)

    async def take_over(self, identity: AgentIdentity) -> int:
        """Register an instance of a replica; leases of the replica's earlier instances die and their tasks
        queue again at once. Other replicas keep theirs.

        Raises Conflict(InstanceRetired) for an instance that was itself taken over. Returns how many tasks
        queue again.
        """
        tenant, agent, instance = identity.tenant, identity.agent, identity.instance
        row = await self._kernel.db.fetch_one(tenant, "instance_find", tenant, agent, instance)
        if row is None:
            await self._register(identity)
        elif not row["active"]:
            raise Conflict(
                "InstanceRetired", "a newer instance of this agent runs", "start as a new instance"
            )
        key = (tenant, agent, instance, identity.replica)
        rows = await self._kernel.db.fetch(tenant, "tasks_of_instances", *key)
        for task in rows:
            await self._endings.take_back(task, "TakenOver")
        return len(rows)

    async def claim(
        self,
        identity: AgentIdentity,
        capacity: int,
        wait_seconds: float,
        messages: int = 0,
        hears: Callable[[], bool] = lambda: True,
    ) -> ClaimResponse:
        """Up to `capacity` tasks, as soon as there is one; nothing once nobody `hears` any more.

        Raises Frozen, Conflict(InstanceRetired).
        """

        async def look() -> ClaimResponse | None:
            if not hears():
                return ClaimResponse()
            response = await self._claims.now(identity, capacity, messages)
            some = response.leases or response.cancelled or response.messages
            return response if some else None

        with self.callers.waiting(identity) as channels:
            found = await self._kernel.wakeups.until(channels, look, wait_seconds, poll_seconds=math.inf)
        return found or ClaimResponse()

    async def heartbeat(self, identity: AgentIdentity, task_id: str, fence: int) -> HeartbeatResponse:
        """Keep the lease for another ttl. Raises LeaseLost."""
        tenant = identity.tenant
        expires = self._kernel.clock.now() + self._ttl
        row = (tenant, task_id, identity.agent, fence, identity.instance, expires)
        keys = frozenset({f"task:{task_id}"})
        work = Work(tenant, (Statement("task_heartbeat", row),), keys, urgent=True)
        try:
            await self._kernel.submit(work)
        except RowMissing:
            found = await self._row(identity, task_id)
            if found["state"] == TaskState.CANCELLED and found["fence"] == fence:
                return HeartbeatResponse(expires_at=expires, cancelled=True)
            raise LeaseLost(task_id) from None
        return HeartbeatResponse(expires_at=expires)

    async def complete(self, identity: AgentIdentity, task_id: str, body: Completion) -> None:
        """The result, once; the same again has no effect. Raises LeaseLost, MaskingFailed."""
        leased = self._claims.leased(identity, task_id, body.fence)
        if leased is not None and await self._succeed(identity, leased.row, body, carries=leased.carries):
            return
        row = await self._held_row(identity, task_id, body.fence, failing=False)
        if row is not None:
            await self._succeed(identity, row, body, carries=True)

    async def fail(self, identity: AgentIdentity, task_id: str, body: Completion) -> None:
        """The attempt failed: again later, or the end. The same again has no effect. Raises LeaseLost,
        MaskingFailed.
        """
        row = await self._held_row(identity, task_id, body.fence, failing=True)
        if row is not None:
            await self._endings.fail(row, identity.actor, await self._storable(row, body))

    async def held(self, identity: AgentIdentity, task_id: str, fence: int) -> HeldTask:
        """The task that the caller holds right now. Raises LeaseLost; every gateway call starts with it."""
        tenant = identity.tenant
        row = await self._kernel.db.fetch_one(
            tenant, "task_held", tenant, task_id, identity.agent, fence, identity.instance
        )
        if row is None:
            raise LeaseLost(task_id)
        return held_task(row)

    async def set_waiting(self, held: HeldTask, waiting: bool) -> None:
        """Show that the task waits for another one, or goes on. Raises LeaseLost."""
        now, key = self._kernel.clock.now(), (held.tenant, held.id)
        statement = Statement("task_resume", (*key, FOR_A_TASK, now), expect_row=False)
        if waiting:
            statement = Statement("task_waiting", (*key, held.fence, FOR_A_TASK, now))
        work = Work(held.tenant, (statement,), frozenset({f"task:{held.id}"}), notify=task_channels(*key))
        try:
            await self._kernel.submit(work)
        except RowMissing:
            raise LeaseLost(held.id) from None

    async def grace(self, tenants: tuple[str, ...]) -> int:
        """One ttl for every lease, at start: a restart of the controller kills no turn."""
        return await self._kernel.db.execute(tenants, "lease_grace", self._kernel.clock.now() + self._ttl)

    async def reap(self, tenants: tuple[str, ...]) -> int:
        """Take back lapsed leases and end what is past its deadline; returns how many. What is frozen
        stands still.
        """
        now, frozen = self._kernel.clock.now(), self._freezer.all_agents(tenants)
        overdue = await self._kernel.db.fetch(tenants, "task_overdue", now, frozen)
        for row in overdue:
            await self._endings.overdue(row)
        lapsed = await self._kernel.db.fetch(tenants, "task_lapsed", now, frozen)
        for row in lapsed:
            await self._endings.take_back(row, "LeaseExpired", lapsed_at=now)
        return len(overdue) + len(lapsed)

    async def _register(self, identity: AgentIdentity) -> None:
        tenant, agent = identity.tenant, identity.agent
        key = (tenant, agent, identity.instance, identity.replica)
        now = self._kernel.clock.now()
        statements = (
            Statement("instance_retire", key, expect_row=False),
            Statement("instance_put", (*key, now), expect_row=False),
            Statement("agent_live_put", (*key, "Starting", "", "{}", 0, "", now)),
        )
        facts = Facts({"instance": identity.instance, "replica": identity.replica})
        entry = self._kernel.audit(identity.actor, "agent.instance", f"agent:{agent}", facts=facts)
        keys, channels = frozenset({f"agent:{agent}"}), (queue_channel(tenant, agent),)
        await self._kernel.submit(Work(tenant, statements, keys, audit=(entry,), notify=channels))

    async def _succeed(self, identity: AgentIdentity, row: Row, body: Completion, *, carries: bool) -> bool:
        """End the task, and acknowledge what it carried to its agent; False when the lease is gone."""
        also = (self._messages.receipt(identity.tenant, row["id"]),) if carries else ()
        return await self._endings.succeed(row, identity.actor, await self._storable(row, body), also)

    async def _storable(self, row: Row, body: Completion) -> Completion:
        """The ending as it may be kept: a guard's rules may be laxer than ours, or it may be taken over."""
        rules = storable(self._chart.guard_rules(row["tenant"], row["agent"]))
        texts: list[str] = []
        for text in (body.result, body.message):
            masked = await self._masker.mask(row["tenant"], row["session_id"], text, rules) if text else None
            texts.append(masked.text if masked is not None else "")
        reason = body.reason if _REASON.fullmatch(body.reason) else "Failed" if body.reason else ""
        return body.model_copy(update={"result": texts[0], "message": texts[1], "reason": reason})

    async def _held_row(
        self, identity: AgentIdentity, task_id: str, fence: int, *, failing: bool
    ) -> Row | None:
        """The held row; None when this very attempt has already been ended this way. Raises LeaseLost."""
        row = await self._row(identity, task_id)
        if row["fence"] != fence or row["lease_instance"] not in ("", identity.instance):
            raise LeaseLost(task_id)
        if row["state"] in (TaskState.RUNNING, TaskState.WAITING):
            return row
        ended = (TaskState.FAILED, TaskState.DEAD, TaskState.QUEUED) if failing else (TaskState.SUCCEEDED,)
        if row["state"] not in ended:
            raise LeaseLost(task_id)
        return None

    async def _row(self, identity: AgentIdentity, task_id: str) -> Row:
        row = await self._kernel.db.fetch_one(identity.tenant, "task_get", identity.tenant, task_id)
        if row is None or row["agent"] != identity.agent:
            raise LeaseLost(task_id)
        return row
