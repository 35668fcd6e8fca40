"""Guards that wait for work: one question a second for all of them finds whom nobody woke.

Most work wakes its agent as it is committed. What time alone brings (a pause that is over, a place in a node
that is free again) and what another process's lost notification would have told is found here; thousands of
idle guards that each looked for themselves would leave the database no time for anything else.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from cadre_controller.errors import CadreError
from cadre_controller.ports import AgentIdentity
from cadre_controller.services.freezer import LOOKED
from cadre_controller.services.kernel import Kernel, queue_channel
from cadre_controller.store.wakeups import POLL_SECONDS

logger = logging.getLogger(__name__)
STOPPING = "stopping"
"""Wakes everyone who waits when the process begins to stop."""


class Callers:
    """Who waits for work in this process, and who is to be called."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._waiting: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def waiting(self, identity: AgentIdentity) -> Iterator[tuple[str, ...]]:
        """Count a guard among them; yields the channels that it is woken on."""
        key = (identity.tenant, identity.agent)
        self._waiting[key] += 1
        try:
            yield queue_channel(*key), LOOKED, STOPPING
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]

    @property
    def count(self) -> int:
        """Agents whose guards wait."""
        return len(self._waiting)

    async def call(self) -> int:
        """Wake those for whom there is something; returns how many agents. Raises Unavailable."""
        waiting = sorted(self._waiting)
        if not waiting:
            return 0
        tenants, agents = map(list, zip(*waiting, strict=True))
        rows = await self._kernel.db.fetch(
            tenants, "agents_called", tenants, agents, self._kernel.clock.now()
        )
        self._kernel.wakeups.wake(queue_channel(row["tenant"], row["agent"]) for row in rows)
        return len(rows)

    async def run(self) -> None:
        """Call once a second, until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.call()
            except CadreError as error:
                logger.warning("waiting guards not called", extra={"reason": error.reason})
