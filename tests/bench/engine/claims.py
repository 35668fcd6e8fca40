"""Claim and acknowledge: the controller's leases against PgQueuer, and what audit, story and reading cost."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import asyncpg
import psutil
import uvloop

from cadre_controller.services.assembly import Services
from cadre_local.paths import Home
from tests.bench.engine import claiming
from tests.bench.engine.claiming import Done
from tests.bench.engine.place import durable, opened, rival
from tests.bench.processes import BenchError, CpuClock
from tests.bench.report import Cell, Table, times

_VERSION = "1.6.0"
_WORKERS = (1, 8)
_BATCH = 25
_QUEUED = 12_000
_SECONDS = 2.0
_ROUNDS = 2
_PATIENCE = 300
_MANAGER = f"PgQueuer {_VERSION}: its queue manager"
_QUERIES = f"PgQueuer {_VERSION}: its two queries"


@dataclass
class Sum:
    """All rounds of one way."""

    tasks: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    server: float = 0.0

    def add(self, done: Done, server: float) -> None:
        """One more round."""
        self.tasks += done.tasks
        self.seconds += done.seconds
        self.cpu += done.cpu
        self.server += server

    @property
    def rate(self) -> float:
        """Tasks per second."""
        return self.tasks / self.seconds if self.tasks else 0.0


async def nothing_open() -> None:
    """Whoever keeps nothing open has nothing to close."""


@dataclass
class Side:
    """One way to work a queue off: how it is filled, and how it is worked for some seconds."""

    fill: Callable[[int], Awaitable[None]]
    work: Callable[[int], Awaitable[Done]]
    settle: Callable[[], Awaitable[object]] = nothing_open
    """Closes, once the CPU time is read, what must stay open until then."""
    found: dict[int, Sum] = field(default_factory=dict)


class Rival:
    """The other program; it does one thing at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, **what: object) -> dict[str, float]:
        """What it says when it has done that. Raises BenchError when it ends instead."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        return await self.told()

    async def told(self) -> dict[str, float]:
        """Its next line. Raises BenchError when it ends instead."""
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), _PATIENCE)
        except TimeoutError:
            raise BenchError("PgQueuer's side does not answer") from None
        if not line:
            raise BenchError("PgQueuer's side has ended")
        found: dict[str, float] = json.loads(line)
        return found


def run() -> Iterator[Table]:
    """The bench."""
    python = rival(f"pgqueuer-{_VERSION}", f"pgqueuer=={_VERSION}", f"asyncpg=={version('asyncpg')}")
    with durable() as (home, dsn):
        sides = uvloop.run(_measure(python, home, dsn))
    yield Table(
        "engine: claim and acknowledge",
        (
            "what",
            "workers",
            "per s",
            "CPU ms each",
            "Postgres CPU ms each",
            "of its manager",
            "of its queries",
        ),
        tuple(_row(sides, name, workers) for workers in _WORKERS for name in sides),
        (
            f"batches of {_BATCH} from {_QUEUED:,} queued, {_SECONDS:g} s each, in turns, {_ROUNDS} rounds",
            "a worker has a queue of its own (here an agent); every claim and end is durable",
            "PgQueuer: durable tables, by priority, a connection for each worker; runs nothing",
            "as a guard asks: rank, lease with fence, story, audit chain, shards, notes, masking; no HTTP",
            "a batch is leased in one work, each task ends by itself; every result is the same clean text",
            "all workers here share a pool of 10 connections for reading and one that commits",
        ),
    )


def _row(sides: dict[str, Side], name: str, workers: int) -> tuple[Cell, ...]:
    found = sides[name].found[workers]
    each = (1e3 * found.cpu / max(found.tasks, 1), 1e3 * found.server / max(found.tasks, 1))
    bases = (sides[base].found[workers].rate for base in (_MANAGER, _QUERIES))
    return name, workers, found.rate, *each, *(times(found.rate, base) for base in bases)


async def _measure(python: Path, home: Home, dsn: str) -> dict[str, Side]:
    server = psutil.Process(int((home.pg / "postmaster.pid").read_text().split()[0]))
    async with opened(home, dsn, max(_WORKERS)) as services, _rival(python, dsn) as other:
        await services.masker.warm_up()
        await claiming.prepare(services, dsn)
        sides = _sides(services, other, dsn)
        for workers in _WORKERS * _ROUNDS:
            for side in sides.values():
                await side.fill(workers)
                clock = CpuClock([server])
                done = await side.work(workers)
                side.found.setdefault(workers, Sum()).add(done, clock.seconds())
                await side.settle()
        return sides


def _sides(services: Services, other: Rival, dsn: str) -> dict[str, Side]:
    def ours(batch: claiming.Batch) -> Side:
        return Side(
            lambda workers: claiming.fill(dsn, workers, _QUEUED),
            lambda workers: claiming.work(services, batch, workers, _BATCH, _SECONDS),
        )

    def theirs(way: str) -> Side:
        async def fill(workers: int) -> None:
            await other.ask(do="fill", workers=workers, count=_QUEUED)

        async def work(workers: int) -> Done:
            told = await other.ask(do=way, workers=workers, batch=_BATCH, seconds=_SECONDS)
            return Done(int(told["tasks"]), told["seconds"], told["cpu"])

        return Side(fill, work, other.ask)

    return {
        "here: as a guard asks": ours(claiming.product),
        _MANAGER: theirs("manager"),
        "here: queue, story and audit": ours(claiming.with_story),
        _QUERIES: theirs("queries"),
        "here: queue alone": ours(claiming.queue),
    }


@asynccontextmanager
async def _rival(python: Path, dsn: str) -> AsyncIterator[Rival]:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE DATABASE bench_pgqueuer")
    finally:
        await connection.close()
    process = await asyncio.create_subprocess_exec(
        str(python), str(Path(__file__).with_name("pgqueuer_side.py")),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "DSN": dsn.replace("/postgres?", "/bench_pgqueuer?")},
    )  # fmt: skip
    other = Rival(process)
    try:
        await other.told()
        yield other
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()
