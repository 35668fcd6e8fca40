"""Reads many streams at once and notes the age of every delta when it arrives."""

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp

from tests.bench.processes import BenchError

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

    ages: list[float] = field(default_factory=list)
    """Of each delta, from its sending by the model to its arrival here."""
    first: float = 0.0
    """From the request to the first delta."""
    took: float = 0.0
    raw: bytearray = field(default_factory=bytearray)

    def text(self) -> str:
        """What the model said, all deltas joined."""
        lines = [line[6:] for line in bytes(self.raw).splitlines() if line.startswith(b"data: {")]
        choices = [choice for line in lines for choice in json.loads(line)["choices"]]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


async def read_all(askings: Sequence[Asking], ramp: float) -> list[Stream]:
    """Open all streams, evenly over `ramp` seconds, and read them to their ends. Raises BenchError."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=_BODY_LIMIT) as session:
        tasks = [
            asyncio.create_task(_read(session, asking, ramp * number / len(askings)))
            for number, asking in enumerate(askings)
        ]
        return list(await asyncio.gather(*tasks))


async def _read(session: aiohttp.ClientSession, asking: Asking, wait: float) -> Stream:
    await asyncio.sleep(wait)
    stream, begin = Stream(), time.monotonic_ns()
    headers = {"Content-Type": "application/json", **asking.headers}
    async with session.post(asking.url, data=asking.body, headers=headers) as answer:
        if answer.status != 200:
            raise BenchError(f"{answer.status}: {(await answer.text())[:300]}")
        async for chunk in answer.content.iter_any():
            now = time.monotonic_ns()
            ages = [(now - int(stamp)) / 1e9 for stamp in _STAMP.findall(chunk)]
            if ages and not stream.ages:
                stream.first = (now - begin) / 1e9
            stream.ages += ages
            stream.raw += chunk
    stream.took = (time.monotonic_ns() - begin) / 1e9
    if b"[DONE]" not in stream.raw:
        raise BenchError(f"a stream broke off: {bytes(stream.raw[-300:]).decode(errors='replace')}")
    return stream
