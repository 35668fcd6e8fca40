"""From a message's sending to its acknowledgement among 1,000 connected agents, over the real ports."""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import psutil

from cadre_local.paths import Home
from tests.bench.engine.place import durable
from tests.bench.processes import BenchError, CpuClock
from tests.bench.report import Table
from tests.bench.timing import percentile
from tests.torture.client import Link
from tests.torture.company import CLERK, agents, chart
from tests.torture.people import sign_in
from tests.torture.processes import Controller, write_secrets

_NOBODY = "http://127.0.0.1:9"
_RATE = 20
_SECONDS = 10
_WAIT = 60
_PATIENCE = 120


@dataclass(frozen=True)
class Found:
    """What was measured with so many connected."""

    latencies: list[float]
    sent: int
    before: float
    """MiB of the controller before anyone connects."""
    connected: float
    after: float
    idle_cpu: float
    """CPU seconds of the controller per second in which nothing happens."""
    busy_cpu: float


def run() -> Iterator[Table]:
    """The bench."""
    yield table(1_000)


def table(count: int) -> Table:
    """Measure with so many agents connected."""
    with durable() as (home, dsn):
        found = asyncio.run(_measure(home, dsn, count))
    p50, p99 = (1e3 * percentile(found.latencies, share) for share in (0.5, 0.99))
    return Table(
        f"engine: a message from sending to acknowledgement, {count:,} agents connected",
        ("messages", "acked", "p50 ms", "p99 ms", "CPU idle", "CPU busy", "MiB before", "connected", "after"),
        (
            (
                found.sent, len(found.latencies), p50, p99, found.idle_cpu, found.busy_cpu,
                found.before, found.connected, found.after,
            ),
        ),
        (
            f"{_RATE} a second, each posted, masked, authorised, committed, pushed and acknowledged",
            "CPU of the controller, of one core; memory: its RSS; each guard has two connections open",
        ),
    )  # fmt: skip


async def _measure(home: Home, dsn: str, count: int) -> Found:
    write_secrets(home.root, agents(count))
    controller = Controller(home.root, dsn, _NOBODY, "controller")
    controller.start()
    try:
        async with aiohttp.ClientSession() as http:
            link = Link(http, [f"http://{controller.public}"], random.Random(1))
            await _company(link, count)
            process = psutil.Process(controller.pid)
            before = _mib(process)
            async with _crowd(int(controller.guard.rpartition(":")[2]), count) as crowd:
                connected, clock = _mib(process), CpuClock([process])
                await asyncio.sleep(_SECONDS / 2)
                idle, clock = clock.seconds() / (_SECONDS / 2), CpuClock([process])
                begun = await _send(link, count)
                busy = clock.seconds() / _SECONDS
                acked = await _acked(crowd, begun)
            latencies = [acked[message] - at for message, at in begun.items() if message in acked]
            return Found(latencies, len(begun), before, connected, _mib(process), idle, busy)
    finally:
        controller.kill()


async def _company(link: Link, count: int) -> None:
    """The chart, and the clerk who writes; a first message loads the language model."""
    await sign_in(link)
    text = chart(count, _NOBODY, _NOBODY).replace("max: 20", f"max: {count}")
    reply = await link.post("/api/v1/apply", {"documents": [{"file": "chart.yaml", "text": text}]})
    if reply.status != 200:
        raise BenchError(f"the chart is not applied: {reply.text[:300]}")
    await sign_in(link, CLERK)
    await link.post("/api/v1/messages", {"to": "person:anna", "body": "Welcome, Anna Berg."})


async def _send(link: Link, count: int) -> dict[str, float]:
    """When each message was begun to be sent, by its id; at an even rate, whoever is still waiting."""
    chance, begun = random.Random(7), dict[str, float]()

    async def one(number: int) -> None:
        await asyncio.sleep(number / _RATE)
        body = {"to": f"agent:co/a{chance.randrange(count)}", "body": f"Please mind matter {number}."}
        at = time.monotonic()
        reply = await link.post("/api/v1/messages", body)
        ids = reply.body.get("ids")
        if not isinstance(ids, list) or len(ids) != 1:
            raise BenchError(f"a message is not taken: {reply.text[:300]}")
        begun[str(ids[0])] = at

    await asyncio.gather(*(one(number) for number in range(_RATE * _SECONDS)))
    return begun


@asynccontextmanager
async def _crowd(port: int, count: int) -> AsyncIterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.bench.engine.crowd", str(port), str(count), str(_WAIT)]
    crowd = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if await asyncio.to_thread(crowd.stdout.readline) != "ready\n":  # type: ignore[union-attr]
            raise BenchError("the guards do not connect")
        yield crowd
    finally:
        crowd.kill()
        crowd.communicate()


async def _acked(crowd: "subprocess.Popen[str]", begun: dict[str, float]) -> dict[str, float]:
    """When each was acknowledged; waits for all of them, within reason."""
    assert crowd.stdin is not None and crowd.stdout is not None
    ends = time.monotonic() + _PATIENCE
    while True:
        crowd.stdin.write("tell\n")
        crowd.stdin.flush()
        acked: dict[str, float] = json.loads(await asyncio.to_thread(crowd.stdout.readline))
        if begun.keys() <= acked.keys() or time.monotonic() > ends:
            return acked
        await asyncio.sleep(0.2)


def _mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20
