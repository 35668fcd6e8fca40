"""Tool servers are reached, or started, as soon as the chart names them: no first call pays for that."""

import asyncio
import logging

from cadre_controller.errors import CadreError
from cadre_controller.gateways.tools.mcp.wire import McpError
from cadre_controller.gateways.tools.servers import ToolServers
from cadre_controller.services.chart import ChartService
from cadre_core.model import Snapshot, ToolServerSpec

_EVERY_SECONDS = 2.0
_AT_ONCE = 4
_LOG = logging.getLogger(__name__)


class Greetings:
    """Greets each server once, and again when its specification changes; calls find out the rest."""

    def __init__(self, servers: ToolServers, chart: ChartService) -> None:
        self._servers = servers
        self._chart = chart
        self._greeted: dict[tuple[str, str], ToolServerSpec] = {}
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Follow the charts until cancelled."""
        while True:
            await self.greet()
            await asyncio.sleep(_EVERY_SECONDS)

    async def greet(self) -> None:
        """Greet every server that is new since the last time."""
        fresh = [
            (tenant, spec)
            for tenant in self._chart.tenants()
            for spec in in_use(self._chart.current(tenant).snapshot)
            if self._greeted.get((tenant, spec.key)) != spec
        ]
        await asyncio.gather(*(self._meet(tenant, spec) for tenant, spec in fresh))

    async def _meet(self, tenant: str, spec: ToolServerSpec) -> None:
        self._greeted[tenant, spec.key] = spec
        try:
            async with self._turn:
                await (await self._servers.client(tenant, spec)).connect()
        except (McpError, CadreError) as error:
            _LOG.warning("tool server does not answer", extra={"server": spec.key, "reason": error.reason})


def in_use(snapshot: Snapshot) -> tuple[ToolServerSpec, ...]:
    """The servers of the tools that running agents have."""
    running = (agent for agent in snapshot.agents.values() if agent.lifecycle == "Running")
    used = {tool.server for agent in running for tool in agent.tools}
    return tuple(spec for key, spec in sorted(snapshot.tool_servers.items()) if key in used)
