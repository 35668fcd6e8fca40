"""Our side of the claims bench: queued tasks made ready, and three ways to claim and acknowledge them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from cadre_api.protocol.guard import Completion, Lease
from cadre_api.protocol.tasks import TaskCreate
from cadre_controller.ports import AgentIdentity
from cadre_controller.services.assembly import Services
from cadre_controller.services.kernel import Facts, queue_channel, task_channels
from cadre_controller.store.pool import Row
from cadre_controller.store.work import Statement, Work, together
from tests.bench.engine.place import TENANT, clerk, side_by_side
from tests.torture.company import agents

_TTL = timedelta(seconds=15)
_RESULT = "Done as asked."
_WAIT = 0.1


@dataclass(frozen=True)
class Done:
    """Tasks whose end is committed, from the first claim to the last end, and the program's CPU."""

    tasks: int
    seconds: float
    cpu: float


class Tally:
    """Counts ended tasks."""

    def __init__(self) -> None:
        self.begin, self._cpu = time.perf_counter(), time.process_time()
        self._last = self.begin
        self._tasks = 0

    def add(self, tasks: int) -> None:
        """These are committed."""
        if tasks:
            self._tasks += tasks
            self._last = time.perf_counter()

    def done(self) -> Done:
        """What was done until the last one."""
        return Done(self._tasks, self._last - self.begin, time.process_time() - self._cpu)


Batch = Callable[[Services, AgentIdentity, int, Tally], Awaitable[None]]


async def prepare(services: Services, dsn: str) -> None:
    """A real task of each agent, kept as what the others are copied from."""
    for agent in agents(len(services.chart.current(TENANT).snapshot.agents)):
        body = TaskCreate(prompt=f"Do the work of {agent}.", agent=agent)
        await services.tasks.create(clerk(services), body, idempotency_key="")
        await services.leases.take_over(AgentIdentity(TENANT, agent, "bench"))
    await _run(dsn, "CREATE TABLE bench_template AS SELECT * FROM tasks")


async def fill(dsn: str, workers: int, count: int) -> None:
    """So many queued tasks, of various priority, divided among the agents of the workers, and no others."""
    await _run(dsn, "DELETE FROM tasks WHERE state = 'Queued'")
    await _run(dsn, _COPIES, agents(workers), count // workers)
    await _run(dsn, "VACUUM ANALYZE tasks")
    await _run(dsn, "CHECKPOINT")


async def work(services: Services, batch: Batch, workers: int, size: int, seconds: float) -> Done:
    """Guards of an agent each claim a batch, end it and claim again; what is begun in time counts."""
    tally = Tally()

    async def worker(number: int) -> None:
        identity = AgentIdentity(TENANT, f"co/a{number}", "bench")
        while time.perf_counter() < tally.begin + seconds:
            await batch(services, identity, size, tally)

    await side_by_side(workers, worker)
    return tally.done()


async def product(services: Services, identity: AgentIdentity, size: int, tally: Tally) -> None:
    """As a guard's requests do it, without HTTP."""

    async def end(lease: Lease) -> None:
        body = Completion(fence=lease.fence, result=_RESULT)
        await services.leases.complete(identity, lease.task_id, body)
        tally.add(1)

    answer = await services.leases.claim(identity, size, _WAIT)
    await asyncio.gather(*map(end, answer.leases))


async def queue(services: Services, identity: AgentIdentity, size: int, tally: Tally) -> None:
    """The same queries by rank, lease and end, and nothing besides."""
    await _claim_and_finish(services, identity, size, tally, story=False)


async def with_story(services: Services, identity: AgentIdentity, size: int, tally: Tally) -> None:
    """The queue with each task's story, wake-ups and the chained audit."""
    await _claim_and_finish(services, identity, size, tally, story=True)


async def _claim_and_finish(
    services: Services, identity: AgentIdentity, size: int, tally: Tally, *, story: bool
) -> None:
    kernel, now = services.kernel, services.kernel.clock.now()
    rows = await kernel.db.fetch(TENANT, "task_claimable", TENANT, identity.agent, now, size)
    if not rows:
        return
    await kernel.submit(together([_lease(services, identity, row, story) for row in rows]))
    await asyncio.gather(*(kernel.submit(_finish(services, identity, row, story)) for row in rows))
    tally.add(len(rows))


def _lease(services: Services, identity: AgentIdentity, row: Row, story: bool) -> Work:
    now = services.kernel.clock.now()
    lease = (TENANT, row["id"], row["fence"], identity.instance, now + _TTL, now)
    return _work(services, identity, row, Statement("task_lease", lease), "Leased" if story else "")


def _finish(services: Services, identity: AgentIdentity, row: Row, story: bool) -> Work:
    end = (TENANT, row["id"], row["fence"] + 1, "Succeeded", _RESULT, "", "", services.kernel.clock.now())
    return _work(services, identity, row, Statement("task_end", end), "Succeeded" if story else "")


def _work(services: Services, identity: AgentIdentity, row: Row, change: Statement, kind: str) -> Work:
    kernel, task_id = services.kernel, row["id"]
    keys = frozenset({f"task:{task_id}"})
    if not kind:
        return Work(TENANT, (change,), keys)
    data = {"attempt": row["attempt"] + 1, "instance": identity.instance}
    facts = Facts(data, trace_id=row["trace_id"])
    audit = kernel.audit(identity.actor, f"task.{kind.lower()}", f"task:{task_id}", facts=facts)
    event = kernel.event(TENANT, task_id, kind, identity.agent, data)
    notify = task_channels(TENANT, task_id, (queue_channel(TENANT, identity.agent),))
    return Work(TENANT, (change, event), keys, audit=(audit,), notify=notify)


async def _run(dsn: str, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


_COPIES = """
INSERT INTO tasks SELECT copy.* FROM (
    SELECT to_jsonb(t) AS fields, gen_random_uuid()::text AS id,
        t.rank - floor(random() * 100) * interval '36 seconds' AS rank
    FROM bench_template t, generate_series(1, $2::int) WHERE t.agent = ANY ($1::text[])
) made,
LATERAL jsonb_populate_record(
    NULL::tasks, made.fields || jsonb_build_object('id', made.id, 'root_task_id', made.id, 'rank', made.rank)
) copy
"""
