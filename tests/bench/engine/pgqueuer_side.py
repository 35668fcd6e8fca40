"""The rival's side of the claims bench; runs in an environment of its own and imports nothing of ours.

Each line it reads fills the queue or works for some seconds; each line it writes says that this is done. Its
connections stay open until the next line, so that the CPU time of their backends can still be read.
"""

import asyncio
import json
import os
import random
import sys
import time
import uuid
from dataclasses import dataclass, field
from datetime import timedelta

import asyncpg
import uvloop
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.models import Job, TracebackRecord
from pgqueuer.domain.types import JOB_STATUS, QueueEntrypoint, QueueManagerId
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.queries import Queries

CHUNK = 1_000
PRIORITIES = 100
HEARTBEAT = timedelta(seconds=30)
"""As the queue manager has it by default."""


@dataclass
class Tally:
    """Jobs whose end is committed, from the first claim to the last end in the time."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    begin: float = 0.0
    cpu: float = 0.0
    jobs: int = 0
    last: float = 0.0

    def start(self) -> None:
        """The first claim of any worker is about to be made."""
        if not self.started.is_set():
            self.begin = self.last = time.perf_counter()
            self.cpu = time.process_time()
            self.started.set()

    def add(self, jobs: int) -> None:
        """These are committed."""
        self.jobs += jobs
        self.last = time.perf_counter()

    async def told(self, seconds: float) -> dict[str, float]:
        """What was done until the last one, when the time is up."""
        await self.started.wait()
        await asyncio.sleep(seconds)
        took, cpu = self.last - self.begin, time.process_time() - self.cpu
        return {"tasks": self.jobs, "seconds": took, "cpu": cpu}


@dataclass
class Counted(Queries):
    """Their queries, counted."""

    tally: Tally = field(default_factory=Tally)

    async def dequeue(self, *args: object, **named: object) -> list[Job]:
        """Claim."""
        self.tally.start()
        return await super().dequeue(*args, **named)

    async def log_jobs(self, job_status: list[tuple[Job, JOB_STATUS, TracebackRecord | None]]) -> None:
        """Acknowledge."""
        await super().log_jobs(job_status)
        self.tally.add(len(job_status))


async def manager(queries: Counted, number: int, batch: int, over: asyncio.Event) -> None:
    """A worker as its documentation has it: the manager claims, runs and acknowledges, each in batches."""
    worker = QueueManager(queries)

    @worker.entrypoint(f"q{number}")
    async def nothing(job: Job) -> None:
        """What is measured is the queue."""

    running = asyncio.create_task(worker.run(batch_size=batch))
    await over.wait()
    worker.shutdown.set()
    await running


async def bare(queries: Counted, number: int, batch: int, over: asyncio.Event) -> None:
    """Its two queries alone: claim a batch, acknowledge the batch."""
    entrypoints = {QueueEntrypoint(f"q{number}"): EntrypointExecutionParameter(concurrency_limit=0)}
    worker = QueueManagerId(uuid.uuid4())
    while not over.is_set():
        if jobs := await queries.dequeue(batch, entrypoints, worker, None, HEARTBEAT):
            await queries.log_jobs([(job, "successful", None) for job in jobs])


async def fill(dsn: str, workers: int, count: int) -> None:
    """So many jobs, divided among a queue for each worker, and nothing else."""
    connection = await asyncpg.connect(dsn)
    try:
        queries = Queries(AsyncpgDriver(connection))
        await queries.clear_queue()
        for begin in range(0, count, CHUNK):
            numbers = range(begin, min(begin + CHUNK, count))
            await queries.enqueue(
                [f"q{n % workers}" for n in numbers],
                [f"Do {n}.".encode() for n in numbers],
                [random.randrange(PRIORITIES) for _ in numbers],
            )
        await connection.execute("VACUUM ANALYZE pgqueuer")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def main(dsn: str) -> None:
    """Install the schema, then do what each line says."""
    connection = await asyncpg.connect(dsn)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()
    print("{}", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        if asked["do"] == "fill":
            await fill(dsn, asked["workers"], asked["count"])
            print("{}", flush=True)
        else:
            await work(dsn, asked)


async def work(dsn: str, asked: dict[str, object]) -> None:
    """Work as asked, tell, and wait for a line before anything is closed."""
    tally, over = Tally(), asyncio.Event()
    way = manager if asked["do"] == "manager" else bare
    connections = [await asyncpg.connect(dsn) for _ in range(asked["workers"])]
    workers = [
        asyncio.create_task(way(Counted(AsyncpgDriver(connection), tally=tally), n, asked["batch"], over))
        for n, connection in enumerate(connections)
    ]
    print(json.dumps(await tally.told(asked["seconds"])), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    over.set()
    await asyncio.gather(*workers)
    for connection in connections:
        await connection.close()
    print("{}", flush=True)


if __name__ == "__main__":
    uvloop.run(main(os.environ["DSN"]))
