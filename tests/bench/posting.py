"""An HTTP client that costs little, so that the server is what is measured."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.bench.processes import BenchError

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass
class Posted:
    """What a run of requests was like."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0


def request(url: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A POST as it goes over the wire (RFC 9112)."""
    fields = {"Host": urlsplit(url).netloc, "Content-Type": "application/json", **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


async def post_all(url: str, requests: Sequence[bytes], connections: int, seconds: float) -> Posted:
    """Send requests over so many connections until all are answered or the time is over.

    Raises BenchError for an answer that is no success.
    """
    posted, todo = Posted(), iter(requests)
    begin = time.perf_counter()
    workers = (_work(url, todo, posted, begin + seconds) for _ in range(connections))
    await asyncio.gather(*workers)
    posted.seconds = time.perf_counter() - begin
    return posted


async def _work(url: str, todo: Iterator[bytes], posted: Posted, ends: float) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        for raw in todo:
            begin = time.perf_counter()
            if begin > ends:
                return
            writer.write(raw)
            posted.bodies.append(await _answer(reader))
            posted.latencies.append(time.perf_counter() - begin)
    finally:
        writer.close()
        await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(_END)
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(_LENGTH)]
    body = await reader.readexactly(int(lengths[0][len(_LENGTH) :])) if lengths else b""
    if not head.startswith(b"HTTP/1.1 2"):
        raise BenchError((head.split(b"\r\n")[0] + b" " + body[:300]).decode(errors="replace"))
    return body
