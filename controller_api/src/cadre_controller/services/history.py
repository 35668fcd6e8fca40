"""Terminal tasks leave the hot table for a history by months; whole months are forgotten in time."""

from collections.abc import Sequence
from datetime import timedelta

from cadre_controller.services.kernel import Kernel

HOT = timedelta(days=1)
"""How long an ended task stays where the queue works."""
DEAD = timedelta(days=30)
"""How long a dead letter waits for a decision."""
KEPT = timedelta(days=365)
BATCH = 500
_MONTH = timedelta(days=28)


class HistoryService:
    """Moves and forgets."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

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

    async def sweep(self, tenants: Sequence[str]) -> None:
        """Both."""
        await self.move(tenants)
        await self.forget(tenants)
