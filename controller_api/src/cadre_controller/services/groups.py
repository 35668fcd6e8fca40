"""Fan-outs in which the first result counts: the others are cancelled, now or by the next sweep."""

from collections.abc import Sequence

from cadre_api.protocol.tasks import TaskState
from cadre_controller.services.kernel import Kernel, queue_channel, system_actor, task_channels
from cadre_controller.services.task_rows import FINAL
from cadre_controller.store.pool import Row
from cadre_controller.store.work import RowMissing, Statement, Work


class Groups:
    """Ends what a fan-out no longer needs."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def settle(self, tenant: str, group_id: str) -> int:
        """Cancel the open tasks of a group that has its result; returns how many."""
        rows = await self._kernel.db.fetch(tenant, "group_members", tenant, group_id)
        if not any(row["state"] == TaskState.SUCCEEDED for row in rows):
            return 0
        others = [row for row in rows if row["state"] not in FINAL]
        for row in others:
            await self._cancel(row)
        return len(others)

    async def sweep(self, tenants: Sequence[str]) -> int:
        """Settle the groups whose controller stopped in between."""
        rows = await self._kernel.db.fetch(tenants, "groups_won")
        return sum([await self.settle(row["tenant"], row["group_id"]) for row in rows])

    async def _cancel(self, row: Row) -> None:
        kernel, tenant, task_id = self._kernel, row["tenant"], row["id"]
        reason = "AnotherWasFirst"
        statements = (
            Statement("task_cancel", (tenant, task_id, reason, kernel.clock.now())),
            kernel.event(tenant, task_id, "Cancelled", reason, {"group": row["group_id"]}),
        )
        entry = kernel.audit(system_actor(tenant, "groups"), "task.cancel", f"task:{task_id}", reason)
        channels = task_channels(tenant, task_id, (queue_channel(tenant, row["agent"]),))
        try:
            await kernel.submit(
                Work(tenant, statements, frozenset({f"task:{task_id}"}), audit=(entry,), notify=channels)
            )
        except RowMissing:
            return
