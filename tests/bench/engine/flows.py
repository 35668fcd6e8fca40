"""Workflows of three steps against DBOS, and how soon a queued task is in a waiting guard's hands."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import uvloop

from cadre_api.protocol.tasks import TaskCreate
from cadre_api.protocol.workflows import ExecutionState
from cadre_controller.ports import AgentIdentity
from cadre_controller.services.assembly import Services
from cadre_local.paths import Home
from tests.bench.engine.place import TENANT, clerk, durable, opened, rival, side_by_side
from tests.bench.processes import BenchError
from tests.bench.report import Cell, Table, times
from tests.bench.timing import percentile

_VERSION = "3.4.0"
_COUNT = 120
_TASKS = 60
_AGENT = "co/a0"
_PAUSE = 0.03
_FLOW = """---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: three, namespace: co}
spec:
  steps:
    - {name: a, data: '"x"'}
    - {name: b, dependsOn: [a], data: 'steps.a.result + "x"'}
    - {name: c, dependsOn: [b], data: 'steps.b.result + "x"'}
"""


def run() -> Iterator[Table]:
    """The bench."""
    python = rival(f"dbos-{_VERSION}", f"dbos=={_VERSION}")
    with durable() as (home, dsn):
        ours, waits = uvloop.run(_ours(home, dsn))
        theirs = _theirs(python, dsn)
    rows: list[tuple[Cell, ...]] = []
    for together, mine, other in zip((1, 16), ours, theirs, strict=True):
        rate = len(other[1]) / other[0]
        rows += [_row("here", together, mine, rate), _row(f"DBOS {_VERSION}", together, other, rate)]
    yield Table(
        "engine: a workflow of three steps",
        ("who", "at once", "runs per s", "p50 ms", "p99 ms", "of DBOS"),
        tuple(rows),
        (
            f"{_COUNT} runs each, one after the other on the same Postgres; every step's result is recorded",
            "here with policy, masked parameters, a session and the audit chain; callers in the same process",
        ),
    )
    figures = [1e3 * percentile(waits, share) for share in (0.5, 0.99)]
    yield Table(
        "engine: from a task's commit to its lease in a waiting guard",
        ("tasks", "p50 ms", "p99 ms"),
        ((len(waits), *figures),),
        (f"one every {1e3 * _PAUSE:.0f} ms; the lease is committed too",),
    )


def _row(who: str, together: int, found: tuple[float, list[float]], base: float) -> tuple[Cell, ...]:
    seconds, latencies = found
    rate = len(latencies) / seconds
    return who, together, rate, *(1e3 * percentile(latencies, s) for s in (0.5, 0.99)), times(rate, base)


async def _ours(home: Home, dsn: str) -> tuple[list[tuple[float, list[float]]], list[float]]:
    async with opened(home, dsn, 5, _FLOW) as services:
        await services.masker.warm_up()
        await _runs(services, 20, 1)
        found = [await _runs(services, _COUNT, together) for together in (1, 16)]
        return found, await _leases(services)


async def _runs(services: Services, count: int, together: int) -> tuple[float, list[float]]:
    todo, latencies = iter(range(count)), list[float]()

    async def caller(_: int) -> None:
        for _number in todo:
            begin = time.perf_counter()
            done = await services.workflows.start(clerk(services), "three", {})
            if done.state is not ExecutionState.SUCCEEDED:
                raise BenchError(f"a run ended as {done.state}: {done.reason}")
            latencies.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    await side_by_side(together, caller)
    return time.perf_counter() - begin, latencies


async def _leases(services: Services) -> list[float]:
    """Seconds from each task's commit to its lease."""
    identity = AgentIdentity(TENANT, _AGENT, "bench")
    await services.leases.take_over(identity)
    committed: dict[str, float] = {}
    leased: dict[str, float] = {}

    async def guard() -> None:
        while len(leased) < _TASKS:
            answer = await services.leases.claim(identity, 25, 5)
            leased.update({lease.task_id: time.perf_counter() for lease in answer.leases})

    waiting = asyncio.create_task(guard())
    for number in range(_TASKS):
        task = await services.tasks.create(
            clerk(services), TaskCreate(prompt=f"Do {number}.", agent=_AGENT), idempotency_key=""
        )
        committed[task.view.id] = time.perf_counter()
        await asyncio.sleep(_PAUSE)
    async with asyncio.timeout(120):
        await waiting
    return [max(leased[task_id] - at, 0.0) for task_id, at in committed.items()]


def _theirs(python: Path, dsn: str) -> list[tuple[float, list[float]]]:
    asyncio.run(_database(dsn))
    url = dsn.replace("/postgres?", "/bench_dbos?").replace("postgresql://", "postgresql+psycopg://")
    script = Path(__file__).with_name("dbos_side.py")
    done = subprocess.run(
        [str(python), str(script), str(_COUNT)],
        env={**os.environ, "DSN": url}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"DBOS ended with {done.returncode}: {done.stderr[-500:]}")
    return [(found["seconds"], found["latencies"]) for found in json.loads(done.stdout.splitlines()[-1])]


async def _database(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE DATABASE bench_dbos")
    finally:
        await connection.close()
