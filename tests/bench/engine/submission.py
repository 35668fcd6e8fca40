"""Durable submission: one commit for all that wait (as it is), against one transaction for each request.

Both run the same code up to the commit and the same statements in it; only who commits differs.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

import asyncpg
import uvloop

from cadre_api.protocol.tasks import TaskCreate
from cadre_controller.services.assembly import Services
from cadre_controller.store.flush import Flush
from cadre_controller.store.pool import prepare_connection
from cadre_controller.store.work import Outcome, Work
from tests.bench import ceilings
from tests.bench.engine.place import TENANT, clerk, durable, opened, side_by_side
from tests.bench.report import Cell, Table, percent, times
from tests.bench.timing import percentile

_AGENTS = 50
_CLIENTS = 64
_CONNECTIONS = 16
_EACH = 640
_ROUNDS = 2
_OPEN_RATE = 500
_OPEN_SECONDS = 4

Submit = Callable[[Work], Awaitable[Outcome]]


class PerRequest:
    """The rival: each work in a transaction of its own, on as many connections as a pool would have."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._free: asyncio.Queue[asyncpg.Connection] = asyncio.Queue()

    async def start(self) -> None:
        """Connect."""
        for _ in range(_CONNECTIONS):
            connection = await asyncpg.connect(self._dsn, server_settings={"synchronous_commit": "on"})
            await prepare_connection(connection)
            self._free.put_nowait(connection)

    async def submit(self, work: Work) -> Outcome:
        """Commit one work."""
        connection = await self._free.get()
        try:
            report = await Flush(secrets.token_hex(16), [work], "bench").run(connection)
            return report.outcomes[0]
        finally:
            self._free.put_nowait(connection)

    async def stop(self) -> None:
        """Disconnect."""
        while not self._free.empty():
            await self._free.get_nowait().close()


@dataclass
class Measured:
    """Some of one kind."""

    seconds: float
    latencies: Sequence[float]
    cpu: float

    @property
    def rate(self) -> float:
        """Per second."""
        return len(self.latencies) / self.seconds

    def row(self, label: str, pgbench: float, rival: float) -> tuple[Cell, ...]:
        """A line of the table."""
        p50, p99 = (1e3 * percentile(self.latencies, share) for share in (0.5, 0.99))
        each = 1e3 * self.cpu / len(self.latencies)
        return label, self.rate, p50, p99, each, percent(self.rate, pgbench), times(self.rate, rival)


def run() -> Iterator[Table]:
    """The bench."""
    with durable() as (home, dsn):
        uvloop.run(_warm(home, dsn))
        pgbench = ceilings.pgbench(dsn, 4) or 0.0
        rows = uvloop.run(_measure(home, dsn, pgbench))
    columns = ("what", "per s", "p50 ms", "p99 ms", "CPU ms each", "of pgbench -N", "of its rival")
    yield Table(
        "engine: submission, durable",
        columns,
        (*rows, ("pgbench -N, 8 clients", pgbench, "", "", "", "100 %", "")),
        (
            f"{_CLIENTS} callers in the controller's own process; the rival has {_CONNECTIONS} connections",
            "commit: session, task, story, two chained audit records and the idempotency key, ready made",
            "whole: routing, policy and masking with NER before that",
            f"open: a commit asked for every {1000 / _OPEN_RATE:g} ms, whether or not the last is answered",
        ),
    )


async def _warm(home: object, dsn: str) -> None:
    async with opened(home, dsn, _AGENTS) as services:
        await _create(services, "warm")


async def _measure(home: object, dsn: str, pgbench: float) -> list[tuple[Cell, ...]]:
    async with opened(home, dsn, _AGENTS) as services:
        await services.masker.warm_up()
        rival, grouped = PerRequest(dsn), services.kernel.committer.submit
        await rival.start()
        try:
            found: dict[str, list[Measured]] = {}
            for _ in range(_ROUNDS):
                for name, submit in (("group", grouped), ("single", rival.submit)):
                    works = await _works(services, _EACH)
                    found.setdefault(f"commit {name}", []).append(await _closed(works, submit))
                    services.kernel.committer.submit = submit
                    found.setdefault(f"whole {name}", []).append(await _whole(services))
                    services.kernel.committer.submit = grouped
            opened_loop = await _open(await _works(services, _OPEN_RATE * _OPEN_SECONDS), grouped)
        finally:
            await rival.stop()
    sums = {name: _sum(parts) for name, parts in found.items()}
    rows = []
    for part in ("commit", "whole"):
        single = sums[f"{part} single"].rate
        rows.append(sums[f"{part} group"].row(f"{part}: all that wait in one", pgbench, single))
        rows.append(sums[f"{part} single"].row(f"{part}: one transaction each", pgbench, single))
    rows.append(opened_loop.row(f"commit, open, {_OPEN_RATE} a second", pgbench, 0))
    return rows


async def _create(services: Services, text: str) -> None:
    body = TaskCreate(prompt=f"Please look into {text} and say what you find.")
    await services.tasks.create(clerk(services), body, idempotency_key=secrets.token_hex(8))


async def _works(services: Services, count: int) -> list[Work]:
    """What submissions want committed."""
    found: list[Work] = []

    async def keep(work: Work) -> Outcome:
        found.append(work)
        return Outcome(tuple(None for _ in work.statements))

    real, services.kernel.committer.submit = services.kernel.committer.submit, keep
    try:
        for number in range(count):
            await _create(services, f"case {number}")
    finally:
        services.kernel.committer.submit = real
    return [work for work in found if work.tenant == TENANT and work.idempotency is not None]


async def _closed(works: Sequence[Work], submit: Submit) -> Measured:
    todo, latencies = iter(works), list[float]()

    async def caller(_: int) -> None:
        for work in todo:
            begin = time.perf_counter()
            await submit(work)
            latencies.append(time.perf_counter() - begin)

    return await _timed(lambda: side_by_side(_CLIENTS, caller), latencies)


async def _whole(services: Services) -> Measured:
    todo, latencies = iter(range(_EACH // 2)), list[float]()

    async def caller(_: int) -> None:
        for number in todo:
            begin = time.perf_counter()
            await _create(services, f"matter {number}")
            latencies.append(time.perf_counter() - begin)

    return await _timed(lambda: side_by_side(_CLIENTS, caller), latencies)


async def _open(works: Sequence[Work], submit: Submit) -> Measured:
    latencies: list[float] = []

    async def one(number: int) -> None:
        await asyncio.sleep(number / _OPEN_RATE)
        begin = time.perf_counter()
        await submit(works[number])
        latencies.append(time.perf_counter() - begin)

    return await _timed(lambda: side_by_side(len(works), one), latencies)


async def _timed(work: Callable[[], Awaitable[None]], latencies: list[float]) -> Measured:
    begin, cpu = time.perf_counter(), time.process_time()
    await work()
    return Measured(time.perf_counter() - begin, latencies, time.process_time() - cpu)


def _sum(parts: Sequence[Measured]) -> Measured:
    latencies = [one for part in parts for one in part.latencies]
    return Measured(sum(p.seconds for p in parts), latencies, sum(p.cpu for p in parts))
