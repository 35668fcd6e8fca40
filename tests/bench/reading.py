"""Reads many streams at once and notes how old every delta is when it arrives."""

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp

from tests.bench.processes import BenchError, CpuClock

_STAMP = re.compile(rb'"system_fingerprint": ?"(\d+)"')
_BODY_LIMIT = aiohttp.ClientTimeout(total=120)


@dataclass(frozen=True)
class Asking:
    """One request for a stream."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Stream:
    """What one stream was like; times in seconds."""

    first: float = 0.0
    """From the request to the first delta."""
    raw: bytearray = field(default_factory=bytearray)

    def text(self) -> str:
        """What the model said, all deltas joined."""
        lines = [line[6:] for line in bytes(self.raw).splitlines() if line.startswith(b"data: {")]
        choices = [choice for line in lines for choice in json.loads(line)["choices"]]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


class Plateau:
    """The time in which all streams flow: from the last one's first delta to the first one's end."""

    def __init__(self, streams: int, clocks: Mapping[str, CpuClock]) -> None:
        self._missing = streams
        self._clocks = clocks
        self._flows = False
        self._begin = 0.0
        self._cpu_begin: dict[str, float] = {}
        self.seconds = 0.0
        self.ages: list[float] = []
        """Of the deltas that arrived in it."""
        self.cpu: dict[str, float] = {}
        """CPU seconds by program."""

    def started(self) -> None:
        """One more stream had its first delta."""
        self._missing -= 1
        if self._missing == 0:
            self._flows = True
            self._begin, self._cpu_begin = time.monotonic(), self._read_clocks()

    def arrived(self, ages: list[float]) -> None:
        """Deltas came."""
        if self._flows:
            self.ages += ages

    def ended(self) -> None:
        """A stream is over."""
        if self._flows:
            self._flows = False
            self.seconds = time.monotonic() - self._begin
            self.cpu = {name: end - self._cpu_begin[name] for name, end in self._read_clocks().items()}

    def _read_clocks(self) -> dict[str, float]:
        return {name: clock.seconds() for name, clock in self._clocks.items()}


async def read_all(askings: Sequence[Asking], ramp: float, plateau: Plateau | None = None) -> list[Stream]:
    """Open all streams, evenly over `ramp` seconds, and read them to their ends. Raises BenchError."""
    plateau = plateau or Plateau(len(askings), {})
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=_BODY_LIMIT) as session:
        tasks = [
            asyncio.create_task(_read(session, asking, ramp * number / len(askings), plateau))
            for number, asking in enumerate(askings)
        ]
        return list(await asyncio.gather(*tasks))


async def _read(session: aiohttp.ClientSession, asking: Asking, wait: float, plateau: Plateau) -> Stream:
    await asyncio.sleep(wait)
    stream, begin = Stream(), time.monotonic_ns()
    headers = {"Content-Type": "application/json", **asking.headers}
    async with session.post(asking.url, data=asking.body, headers=headers) as answer:
        if answer.status != 200:
            raise BenchError(f"{answer.status}: {(await answer.text())[:300]}")
        async for chunk in answer.content.iter_any():
            now = time.monotonic_ns()
            ages = [(now - int(stamp)) / 1e9 for stamp in _STAMP.findall(chunk)]
            if ages and not stream.first:
                stream.first = (now - begin) / 1e9
                plateau.started()
            plateau.arrived(ages)
            stream.raw += chunk
    plateau.ended()
    if b"[DONE]" not in stream.raw:
        raise BenchError(f"a stream broke off: {bytes(stream.raw[-300:]).decode(errors='replace')}")
    return stream
