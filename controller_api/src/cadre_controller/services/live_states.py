"""How the agents are right now, read at most a few times a second however many tasks come in, and corrected
by what this process hands out meanwhile."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from cadre_controller.services.freezer import Freezer
from cadre_controller.services.kernel import Kernel
from cadre_core.model import EffectiveAgent
from cadre_core.routing import AgentState, RouteBoard, RouteIndex, route_board

OFFLINE_AFTER = timedelta(seconds=60)
FRESH_SECONDS = 0.25
LATENCY_SECONDS = 30.0
LATENCY_WINDOW = timedelta(hours=1)

Usable = Callable[[EffectiveAgent], bool]
"""Whether one of the agent's models for work can be asked now."""


@dataclass(slots=True)
class _Tenant:
    """What was read of one tenant, and when."""

    board: RouteBoard | None = None
    read_at: float = float("-inf")
    seconds: dict[str, float] = field(default_factory=dict)
    """How long an agent's tasks took within the window."""
    seconds_at: float = float("-inf")


class LiveStates:
    """States for routing, shared by all requests of this process."""

    def __init__(self, kernel: Kernel, freezer: Freezer) -> None:
        self._kernel = kernel
        self._freezer = freezer
        self._tenants: defaultdict[str, _Tenant] = defaultdict(_Tenant)
        self._reading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.usable: Usable = lambda _: True

    async def board(self, tenant: str, index: RouteIndex) -> RouteBoard:
        """How the agents of this chart stand."""
        known = self._tenants[tenant]
        if (board := self._fresh(known, index)) is not None:
            return board
        async with self._reading[tenant]:
            return self._fresh(known, index) or await self._read(tenant, known, index)

    def given(self, tenant: str, agents: Iterable[str]) -> None:
        """Count work handed out since the last reading, so that a burst does not all go to one agent."""
        if (board := self._tenants[tenant].board) is not None:
            for agent in agents:
                board.given(agent)

    def _fresh(self, known: _Tenant, index: RouteIndex) -> RouteBoard | None:
        aged = self._kernel.clock.monotonic() - known.read_at >= FRESH_SECONDS
        return known.board if not aged and known.board is not None and known.board.index is index else None

    async def _read(self, tenant: str, known: _Tenant, index: RouteIndex) -> RouteBoard:
        kernel, began = self._kernel, self._kernel.clock.monotonic()
        now = kernel.clock.now()
        if began - known.seconds_at > LATENCY_SECONDS:
            since = now - LATENCY_WINDOW
            rows = await kernel.db.fetch(tenant, "agent_latency", tenant, since)
            known.seconds = {row["agent"]: row["seconds"] for row in rows}
            known.seconds_at = began
        live = {row["agent"]: row for row in await kernel.db.fetch(tenant, "agents_live", tenant)}
        load = {row["agent"]: row for row in await kernel.db.fetch(tenant, "agent_load", tenant)}
        unusable = {key for key, agent in index.agents.items() if not self.usable(agent)}
        states = {}
        frozen = self._freezer.agents(tenant)
        for agent in frozen.keys() | live.keys() | load.keys() | known.seconds.keys() | unusable:
            seen, work = live.get(agent), load.get(agent)
            fresh = seen is not None and now - seen["seen_at"] < OFFLINE_AFTER
            oldest = work["oldest"] if work is not None else None
            state = seen["state"] if seen is not None and fresh else "Offline"
            states[agent] = AgentState(
                state="Frozen" if agent in frozen else state,
                running=work["running"] if work is not None else 0,
                queued=work["queued"] if work is not None else 0,
                oldest_queued_seconds=max((now - oldest).total_seconds(), 0.0) if oldest else 0.0,
                model_available=agent not in unusable,
                run_seconds=known.seconds.get(agent, 0.0),
            )
        known.board, known.read_at = route_board(index, states), began
        return known.board
