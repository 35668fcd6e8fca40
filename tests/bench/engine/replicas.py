"""Two controller replicas that write one tenant's audit chain, against one."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator

import asyncpg
import uvloop

from tests.bench.engine.place import TENANT, durable, opened
from tests.bench.processes import BenchError
from tests.bench.report import Table, times

_SECONDS = 4
_ROUNDS = 2


def run() -> Iterator[Table]:
    """The bench: one and two in turn."""
    found: dict[int, list[tuple[float, int]]] = {1: [], 2: []}
    with durable() as (home, dsn):
        uvloop.run(_prepare(home, dsn))
        for _ in range(_ROUNDS):
            for replicas in found:
                found[replicas].append(_write(dsn, replicas))
        links, broken = asyncio.run(_chain(dsn))
    rates = {replicas: sum(rate for rate, _ in parts) / _ROUNDS for replicas, parts in found.items()}
    yield Table(
        "engine: one tenant's audit chain",
        ("replicas", "events per s", "of one", "aborted flushes"),
        tuple(
            (replicas, rate, times(rate, rates[1]), sum(aborted for _, aborted in found[replicas]))
            for replicas, rate in rates.items()
        ),
        (f"{links:,} links, {broken} of them without their predecessor; 64 callers in each replica",),
    )


async def _prepare(home: object, dsn: str) -> None:
    async with opened(home, dsn, 5):
        pass


def _write(dsn: str, replicas: int) -> tuple[float, int]:
    command = [sys.executable, "-m", "tests.bench.engine.writer", dsn, TENANT, str(_SECONDS)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    writers = [subprocess.Popen(command, text=True, **pipes) for _ in range(replicas)]  # type: ignore[call-overload]
    try:
        if any(writer.stdout.readline() != "ready\n" for writer in writers):
            raise BenchError("a writer does not start")
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        told = [json.loads(writer.stdout.readline()) for writer in writers]
    finally:
        for writer in writers:
            writer.communicate(timeout=60)
    return sum(t["events"] / t["seconds"] for t in told), sum(t["aborted"] for t in told)


async def _chain(dsn: str) -> tuple[int, int]:
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow(
            _LINKS,
            TENANT,
        )
        return int(row["links"]), int(row["bad"])
    finally:
        await connection.close()


_LINKS = """
SELECT count(*) AS links, count(*) FILTER (WHERE seq > 1 AND before IS DISTINCT FROM prev_hash) AS bad
FROM (SELECT seq, prev_hash, lag(hash) OVER (ORDER BY seq) AS before FROM audit_events WHERE tenant = $1) AS c
"""
