"""Asks the controller how much work each agent has, so that idle ones stop and needed ones start."""

import asyncio
import logging

from cadre_operator.agents.replicas import Demand
from cadre_operator.controller import ControllerError
from cadre_operator.keys import Key, Priority
from cadre_operator.world import World

_LOG = logging.getLogger(__name__)
POLL_SECONDS = 2.0


async def watch_demand(world: World, seconds: float = POLL_SECONDS) -> None:
    """Keep the demand of all agents up to date, until cancelled."""
    busy: dict[str, float] = {}
    while True:
        for tenant in sorted(world.book.states):
            await poll_demand(world, tenant, busy)
        await asyncio.sleep(seconds)


async def poll_demand(world: World, tenant: str, busy: dict[str, float]) -> None:
    """Ask once about a tenant. `busy` = agent -> when it last had work, counted from the first answer on."""
    if world.controller is None:
        return
    try:
        tasks = await world.controller.demand(tenant)
    except ControllerError as error:
        _LOG.debug("demand unknown", extra={"tenant": tenant, "reason": str(error)})
        for path in [p for p in world.demand if world.book.tenant_of(p.partition("/")[0]) == tenant]:
            del world.demand[path]
        return
    now = world.clock()
    for path, agent in tasks.items():
        count = agent.tasks
        held = world.frozen.get(path, "")
        if agent.frozen != held:
            world.frozen[path] = agent.frozen
        if count > 0 or path not in busy:
            busy[path] = now
        before = world.demand.get(path)
        world.demand[path] = Demand(count, now - busy[path])
        if before is None or before.tasks != count or count == 0 or agent.frozen != held:
            namespace, _, name = path.partition("/")
            world.objects.add(Key("Agent", namespace, name), Priority.AFFECTED)
