"""Terminal tasks leave the hot table for a history by months; whole months are forgotten in time, and what
was said in them as soon as policy wants."""

from collections.abc import Sequence
from datetime import timedelta

from cadre_controller.services.chart import ChartService
from cadre_controller.services.kernel import Kernel

HOT = timedelta(days=1)
"""How long an ended task stays where the queue works."""
DEAD = timedelta(days=30)
"""How long a dead letter waits for a decision."""
KEPT = timedelta(days=365)
SAID = 30
"""Days that transcripts are kept where no policy says so."""
BATCH = 500
_MONTH = timedelta(days=28)


class HistoryService:
    """Moves and forgets."""

    def __init__(self, kernel: Kernel, chart: ChartService) -> None:
        self._kernel = kernel
        self._chart = chart

    async def move(self, tenants: Sequence[str], *, hot: timedelta = HOT) -> int:
        """Move what ended before `hot` ago; returns how many tasks."""
        now, db, moved = self._kernel.clock.now(), self._kernel.db, 0
        for month in (now - _MONTH, now, now + _MONTH):
            await db.fetch(tenants, "history_month", month)
        while True:
            count = await db.execute(tenants, "history_move", now - hot, now - DEAD, BATCH)
            moved += count
            if count < BATCH:
                return moved

    async def forget(self, tenants: Sequence[str], *, kept: timedelta = KEPT) -> int:
        """Drop the months that ended before `kept` ago; returns how many."""
        rows = await self._kernel.db.fetch(tenants, "history_forget", self._kernel.clock.now() - kept)
        return int(rows[0]["dropped"])

    async def forget_said(self, tenant: str, *, days: int | None = None) -> tuple[int, int]:
        """Forget what was said in tasks of the history, and runs of workflows, when their `transcriptDays`
        are over (`days` instead, for all); returns how many of each. A run goes by the shortest of its
        tenant."""
        now, db = self._kernel.clock.now(), self._kernel.db
        agents = self._chart.current(tenant).snapshot.agents
        kept = {
            key: a.retention.get("transcriptDays", SAID) if days is None else days
            for key, a in agents.items()
        }
        before = {key: now - timedelta(days=some) for key, some in kept.items()}
        other = now - timedelta(days=SAID if days is None else days)
        key = (tenant, list(before), list(before.values()), other, BATCH)
        tasks = 0
        while (count := await db.execute(tenant, "transcripts_forget", *key)) > 0:
            tasks += count
        return tasks, await db.execute(
            tenant, "executions_forget", tenant, max(before.values(), default=other)
        )

    async def sweep(self, tenants: Sequence[str]) -> None:
        """All of it."""
        await self.move(tenants)
        await self.forget(tenants)
        for tenant in tenants:
            await self.forget_said(tenant)
