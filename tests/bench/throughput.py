"""Requests per second of CPU through the stand-alone guard and through LiteLLM's proxy with its presidio
guardrail: the same bodies, the same model server, in turns.

What counts is the CPU of all programs of a side together: proxy and presidio, or guard and its scanner.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import aiohttp
import psutil
import uvloop

from tests.bench import litellm, texts
from tests.bench.processes import BenchError, CpuClock, listening
from tests.bench.report import Table, times
from tests.support.standalone import standalone, write_guard_file

_SECONDS = 40.0
"""For both sides together."""
_BATCH = 8
_SIZES = (1000, 4000)
_LIMIT = aiohttp.ClientTimeout(total=120)


@dataclass
class _Side:
    name: str
    url: str
    key: str
    processes: Sequence[psutil.Process]
    requests: int = 0
    cpu: float = 0.0
    wall: float = 0.0
    leaked: int = 0
    unlike: int = 0
    """Answers that do not repeat what was said."""

    def run(self, bodies: Sequence[str], model: str) -> None:
        """Ask for all of them at once."""
        clock, begin = CpuClock(self.processes), time.perf_counter()
        answers = uvloop.run(_ask(self.url, self.key, bodies))
        self.wall += time.perf_counter() - begin
        self.cpu += clock.seconds()
        self.requests += len(bodies)
        self.unlike += sum(body[:20] not in answer for body, answer in zip(bodies, answers, strict=True))
        with urlopen(f"{model}/seen", timeout=30) as seen:
            self.leaked += json.load(seen)[1]


def run() -> Iterator[Table]:
    """The bench."""
    with tempfile.TemporaryDirectory() as folder, listening("tests.bench.answering") as (port, _model):
        model = f"http://127.0.0.1:{port}"
        file = write_guard_file(Path(folder), model)
        with litellm.proxy(Path(folder), model) as rival, standalone(file) as guard:
            rows: list[tuple[str | float, ...]] = []
            for size in _SIZES:
                ours = _Side("guard", guard.url, "any", [psutil.Process(guard.pid)])
                theirs = _Side("LiteLLM and presidio", rival.url, litellm.KEY, rival.processes)
                _in_turns((ours, theirs), size, model)
                rows += _rows(f"{size // 1000} kB, dense", ours, theirs)
    columns = ("request", "who", "per CPU second", "CPU ms", "of LiteLLM", "per s", "with an address left")
    notes = (
        f"LiteLLM {litellm.VERSION}, one worker, presidio's default recognisers, the same small spaCy model",
        f"{_BATCH} requests at once, no text was seen before; CPU of all programs of a side together",
    )
    yield Table("guard: throughput per core", columns, tuple(rows), notes)


def _in_turns(sides: Sequence[_Side], size: int, model: str) -> None:
    for side in sides:
        side.run([texts.dense(size, size)], model)
        side.requests, side.cpu, side.wall, side.leaked, side.unlike = 0, 0.0, 0.0, 0, 0
    ends, seed = time.monotonic() + _SECONDS / len(_SIZES), size
    while time.monotonic() < ends:
        seed += _BATCH
        bodies = [texts.dense(each, size) for each in range(seed, seed + _BATCH)]
        for side in sides:
            side.run(bodies, model)


def _rows(label: str, ours: _Side, theirs: _Side) -> Iterator[tuple[str | float, ...]]:
    if ours.unlike:
        raise BenchError(f"{ours.unlike} answers of the guard were not restored")
    for side in (ours, theirs):
        rate = side.requests / side.cpu
        ratio = times(rate, theirs.requests / theirs.cpu)
        left = f"{side.leaked} of {side.requests}"
        yield label, side.name, rate, 1e3 / rate, ratio, side.requests / side.wall, left


async def _ask(url: str, key: str, bodies: Sequence[str]) -> list[str]:
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers, timeout=_LIMIT) as session:
        return await asyncio.gather(*(_answer(session, url, body) for body in bodies))


async def _answer(session: aiohttp.ClientSession, url: str, text: str) -> str:
    body = {"model": "bench", "messages": [{"role": "user", "content": text}]}
    async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
        if answer.status != 200:
            raise BenchError(f"{answer.status}: {(await answer.text())[:300]}")
        return str((await answer.json())["choices"][0]["message"]["content"])
