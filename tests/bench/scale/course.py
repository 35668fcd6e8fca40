"""What is measured, in order: bare loop, burst, edit, bare loop again, more agents, restart."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.bench.processes import CpuClock
from tests.bench.scale.cluster import (
    Cluster,
    begin,
    cluster,
    memory,
    process_of,
    running_operator,
    send,
    settled,
)
from tests.bench.scale.company import MODELS, agents, children, framework, profile
from tests.bench.scale.watching import Arrivals, arrivals
from tests.integration.operator.running import Operator

TOWN = "town"
_OBJECTS_AT_RESTART = 10
"""Per agent of the burst: 10,000 of 1,000."""


@dataclass
class Course:
    """Results; times in seconds, memory in MiB."""

    agents: int
    per_agent: int = 0
    """Objects that an agent is made of."""
    created: float = 0.0
    burst: float = 0.0
    edit: float = 0.0
    writes: float = 0.0
    """Per agent, until nothing happens any more; its creation is not counted."""
    bare_burst: list[float] = field(default_factory=list)
    bare_edit: list[float] = field(default_factory=list)
    memory: dict[int, float] = field(default_factory=dict)
    """Agents -> after a start."""
    memory_after_burst: float = 0.0
    cpu_burst: float = 0.0
    """Of the operator."""
    all_cpu: float = 0.0
    """Of all programs for the burst: operator, API server, etcd, ourselves."""
    bare_cpu: list[float] = field(default_factory=list)
    restart_objects: int = 0
    restart_writes: list[str] = field(default_factory=list)
    restart: float = 0.0


async def take_course(folder: Path, count: int) -> Course:
    """Measure everything once. Raises ProgramUnavailableError."""
    found = Course(count)
    async with cluster(folder) as made:
        await _bare(made, "bare-1", found)
        await _operated(made, found)
        await _bare(made, "bare-2", found)
        await _restarted(made, found)
    return found


async def _bare(made: Cluster, namespace: str, found: Course) -> None:
    """Apply the same objects by a loop that knows what to apply."""
    made.without_webhooks()
    made.make_namespace(namespace)
    bodies = agents(namespace, range(found.agents))
    first = [obj for some in children(namespace, bodies, MODELS[0]) for obj in some]
    second = [obj for some in children(namespace, bodies, MODELS[1]) for obj in some]
    changed = [obj for obj, before in zip(second, first, strict=True) if obj != before]
    found.per_agent = len(first) // found.agents
    cpu = CpuClock([psutil.Process()])
    seconds = await send(bodies, made.kube.create)
    found.bare_burst.append(seconds + await send(first, made.kube.apply))
    found.bare_cpu.append(cpu.seconds())
    found.bare_edit.append(await send(changed, made.kube.apply))


async def _operated(made: Cluster, found: Course) -> None:
    """The operator does it."""
    made.make_namespace(TOWN)
    await send(framework(TOWN), made.kube.create)
    budgets = f"/apis/policy/v1/namespaces/{TOWN}/poddisruptionbudgets"
    workloads = f"/apis/apps/v1/namespaces/{TOWN}/statefulsets"
    async with arrivals(made.server, budgets) as last, arrivals(made.server, workloads) as changing:
        with running_operator(made, TOWN) as replica:
            await settled(replica)
            found.memory[0] = memory(replica)
            await _burst(made, replica, found, last)
            await changing.count(found.agents)
            await _edit(made, found, changing)
            await settled(replica)


async def _burst(made: Cluster, replica: Operator, found: Course, last: Arrivals) -> None:
    before, cpu, started = len(made.writes(TOWN)), CpuClock([process_of(replica)]), time.perf_counter()
    everything = CpuClock([psutil.Process()])
    found.created = await send(agents(TOWN, range(found.agents)), made.kube.create)
    await last.count(found.agents)
    found.burst = time.perf_counter() - started
    found.all_cpu = everything.seconds()
    await settled(replica)
    found.cpu_burst = cpu.seconds()
    found.memory_after_burst = memory(replica)
    found.writes = (len(made.writes(TOWN)) - before) / found.agents - 1


async def _edit(made: Cluster, found: Course, changing: Arrivals) -> None:
    before, started = dict(changing.hashes), time.perf_counter()
    await made.kube.apply(profile(TOWN, MODELS[1]))
    await changing.count(found.agents, before)
    found.edit = time.perf_counter() - started


async def _restarted(made: Cluster, found: Course) -> None:
    with running_operator(made, TOWN) as replica:
        await settled(replica)
        found.memory[found.agents] = memory(replica)
        more = max(0, _OBJECTS_AT_RESTART * found.agents // (1 + found.per_agent) + 1 - found.agents)
        await send(agents(TOWN, range(found.agents, found.agents + more)), made.kube.create)
        await settled(replica)
        replica.stop(seconds=60)
        total = found.agents + more
        found.restart_objects = total * (1 + found.per_agent) + len(framework(TOWN))
        before, started = len(made.writes()), time.perf_counter()
        begin(replica)
        await settled(replica)
        found.restart = time.perf_counter() - started
        found.memory[total] = memory(replica)
        found.restart_writes = made.writes()[before:]
