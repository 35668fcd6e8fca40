"""Guards without agents that claim tasks and hand in results as fast as they are let."""

import asyncio
import time
import uuid
from dataclasses import dataclass, field

import aiohttp

from cadre_api.protocol.guard import Completion
from cadre_guard.controller.client import ControllerClient
from cadre_guard.controller.identity import Identity
from tests.bench.stand import Stand

_BATCH = 25
_WAIT = 0.5


@dataclass
class Worked:
    """Tasks claimed and completed."""

    done: int = 0
    seconds: float = 0.0
    claims: list[float] = field(default_factory=list)
    """Seconds for each claim that brought work."""
    acks: list[float] = field(default_factory=list)
    """Seconds for each completion."""


async def work_off(stand: Stand, agents: tuple[str, ...], count: int, seconds: float) -> Worked:
    """Claim and complete `count` queued tasks of these agents, or as many as there is time for."""
    worked = Worked()
    begin = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        await asyncio.gather(
            *(_guard(stand, http, agent, worked, count, begin + seconds) for agent in agents)
        )
    worked.seconds = time.perf_counter() - begin
    return worked


async def _guard(
    stand: Stand, http: aiohttp.ClientSession, agent: str, worked: Worked, count: int, ends: float
) -> None:
    identity = Identity(
        stand.guard_url, http, agent=agent, instance=str(uuid.uuid4()), bootstrap_file=stand.bootstrap(agent)
    )
    controller = ControllerClient(stand.guard_url, http, identity)
    while worked.done < count and time.perf_counter() < ends:
        begin = time.perf_counter()
        answer = await controller.claim(_BATCH, _WAIT)
        if not answer.leases:
            continue
        worked.claims.append(time.perf_counter() - begin)
        done = [_complete(controller, lease.task_id, lease.fence, worked) for lease in answer.leases]
        await asyncio.gather(*done)


async def _complete(controller: ControllerClient, task: str, fence: int, worked: Worked) -> None:
    begin = time.perf_counter()
    await controller.complete(task, Completion(fence=fence, result="Done as asked."))
    worked.acks.append(time.perf_counter() - begin)
    worked.done += 1
