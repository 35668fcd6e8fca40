"""What is frozen now, as this process knows it, and the open requests that end when their agent is.

Every replica hears of a freeze by notification and looks for itself once a second. While the database does
not answer, what was frozen stays frozen.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from cadre_api.protocol.freeze import FreezeScope, FreezeSource
from cadre_controller.errors import CadreError, Denied
from cadre_controller.ports import AgentIdentity
from cadre_controller.services.chart import ChartService
from cadre_controller.services.kernel import Kernel
from cadre_controller.store.pool import Row
from cadre_core.freeze import Freeze, frozen_agents
from cadre_core.model import Snapshot

logger = logging.getLogger(__name__)
CHANNEL = "freezes"
LOOKED = "freezes:looked"
"""Woken in this process when it knows of other freezes than before."""
FROZEN = "Frozen"


class Frozen(Denied):
    """The agent is stopped: nothing of it is served until it is thawed. Why, is told to people alone."""

    def __init__(self, agent: str) -> None:
        super().__init__(
            FROZEN, f"agent {agent} is frozen", "wait; ask again now and then, until it is thawed"
        )


class Freezer:
    """Answers for every request whether its agent is frozen, without asking the database."""

    def __init__(self, kernel: Kernel, chart: ChartService) -> None:
        self._kernel = kernel
        self._chart = chart
        self._freezes: dict[str, tuple[Freeze, ...]] = {}
        self._held: dict[str, tuple[Snapshot, dict[str, Freeze]]] = {}
        self._open: defaultdict[tuple[str, str], set[asyncio.Timeout]] = defaultdict(set)

    async def follow(self) -> None:
        """Keep up with what others freeze and thaw, until cancelled or the process stops waiting."""
        await self._kernel.wakeups.until((CHANNEL,), self._look, float("inf"))

    async def refresh(self) -> None:
        """Read what is frozen, and cut what is open. Raises Unavailable."""
        found: defaultdict[str, list[Freeze]] = defaultdict(list)
        for row in await self._kernel.db.fetch(self._chart.tenants(), "freezes"):
            found[row["tenant"]].append(_freeze(row))
        freezes = {tenant: tuple(sorted(some, key=lambda f: f.identity)) for tenant, some in found.items()}
        if freezes != self._freezes:
            self._freezes, self._held = freezes, {}
            self._kernel.wakeups.wake((LOOKED,))
        self._cut()

    def of(self, tenant: str) -> tuple[Freeze, ...]:
        """Freezes of a tenant."""
        return self._freezes.get(tenant, ())

    def agents(self, tenant: str) -> dict[str, Freeze]:
        """Frozen agents of a tenant, each with the freeze that has held it longest."""
        if tenant not in self._freezes:
            return {}
        snapshot = self._chart.current(tenant).snapshot
        held = self._held.get(tenant)
        if held is None or held[0] is not snapshot:
            held = (snapshot, frozen_agents(snapshot, self._freezes[tenant]))
            self._held[tenant] = held
        return held[1]

    def all_agents(self, tenants: Iterable[str]) -> list[str]:
        """Keys of all frozen agents, for queries that leave them out."""
        return [agent for tenant in tenants for agent in self.agents(tenant)]

    def require_running(self, identity: AgentIdentity) -> None:
        """Raises Frozen."""
        if identity.agent in self.agents(identity.tenant):
            raise Frozen(identity.agent)

    @asynccontextmanager
    async def unless_frozen(self, identity: AgentIdentity) -> AsyncIterator[None]:
        """Do something for an agent, which ends with Frozen as soon as the agent is."""
        self.require_running(identity)
        key = (identity.tenant, identity.agent)
        try:
            async with asyncio.timeout(None) as cut:
                self._open[key].add(cut)
                try:
                    yield
                finally:
                    self._forget(key, cut)
        except TimeoutError:
            if cut.expired():
                raise Frozen(identity.agent) from None
            raise

    async def _look(self) -> None:
        try:
            await self.refresh()
        except CadreError as error:
            logger.warning("freezes not read", extra={"reason": error.reason})

    def _cut(self) -> None:
        now = asyncio.get_running_loop().time()
        for tenant, agent in tuple(self._open) if self._freezes else ():
            if agent in self.agents(tenant):
                cuts = self._open.pop((tenant, agent))
                for cut in cuts:
                    cut.reschedule(now)
                logger.info("requests cut", extra={"agent": agent, "count": len(cuts)})

    def _forget(self, key: tuple[str, str], cut: asyncio.Timeout) -> None:
        cuts = self._open.get(key)
        if cuts is not None:
            cuts.discard(cut)
            if not cuts:
                del self._open[key]


def _freeze(row: Row) -> Freeze:
    return Freeze(
        scope=FreezeScope(row["scope"]),
        target=row["target"],
        reason=row["reason"],
        source=FreezeSource(row["source"]),
        rank=row["rank"],
        by=row["frozen_by"],
        at=row["frozen_at"],
        break_glass=row["break_glass"],
    )
