"""What must happen although nobody asks: lapsed leases, overdue approvals, stale reservations, expired
values."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from cadre_controller.errors import CadreError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A chore and how often it is done."""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[object]]


class Sweeper:
    """Runs each sweep in a task of its own; a failing one is logged and tried again."""

    def __init__(self, sweeps: tuple[Sweep, ...]) -> None:
        self._sweeps = sweeps
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._loop(s), name=f"sweep-{s.name}") for s in self._sweeps]

    async def stop(self) -> None:
        """End all of them."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _loop(self, sweep: Sweep) -> None:
        while True:
            await asyncio.sleep(sweep.every_seconds)
            try:
                await sweep.run()
            except CadreError as error:
                logger.warning("sweep failed", extra={"sweep": sweep.name, "reason": error.reason})
            except Exception:
                logger.exception("sweep failed", extra={"sweep": sweep.name})
