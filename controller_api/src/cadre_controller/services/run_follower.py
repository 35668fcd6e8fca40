"""Runs of workflows go on at once: whoever looked at a run last hears of what its steps wait for.

Only that process reacts, so replicas do not race for each run; the sweep catches up for one that died.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from cadre_controller.services.kernel import Kernel

WORKERS = 8
"""Runs that are looked at at the same time; their commits are grouped."""
_LATE = 0.005
"""Seconds after which a time that has come is surely over."""
type_key = tuple[str, str]


@dataclass(slots=True)
class _Wait:
    """What one run waits for."""

    channels: frozenset[str]
    call: Callable[[], None]
    timer: asyncio.TimerHandle | None


class RunFollower:
    """Remembers what runs wait for, and looks at each that something happened to."""

    def __init__(self, kernel: Kernel, look: Callable[[str, str], Awaitable[None]]) -> None:
        self._kernel = kernel
        self._look = look
        self._waits: dict[type_key, _Wait] = {}
        self._wanted: set[type_key] = set()
        self._queue: asyncio.Queue[type_key] = asyncio.Queue()

    def expect(self, tenant: str, execution_id: str, channels: Iterable[str], due: datetime | None) -> None:
        """Look at a run when one of the channels is woken or the time has come; replaces what it was told
        before."""
        self.forget(tenant, execution_id)

        def call() -> None:
            self.want(tenant, execution_id)

        timer = None
        if due is not None:
            seconds = max((due - self._kernel.clock.now()).total_seconds(), 0.0)
            timer = asyncio.get_running_loop().call_later(seconds + _LATE, call)
        wait = _Wait(frozenset(channels), call, timer)
        for channel in wait.channels:
            self._kernel.wakeups.call(channel, call)
        self._waits[tenant, execution_id] = wait

    def want(self, tenant: str, execution_id: str) -> None:
        """Look at a run soon."""
        key = (tenant, execution_id)
        if key not in self._wanted:
            self._wanted.add(key)
            self._queue.put_nowait(key)

    def forget(self, tenant: str, execution_id: str) -> None:
        """The run waits for nothing any more."""
        wait = self._waits.pop((tenant, execution_id), None)
        if wait is None:
            return
        for channel in wait.channels:
            self._kernel.wakeups.uncall(channel, wait.call)
        if wait.timer is not None:
            wait.timer.cancel()

    async def run(self) -> None:
        """Look at what is wanted, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(self._work())
        finally:
            for tenant, execution_id in tuple(self._waits):
                self.forget(tenant, execution_id)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            self._wanted.discard(key)
            await self._look(*key)
