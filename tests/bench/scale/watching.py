"""Sees objects arrive at the API server as anybody else would: by a watch, of their metadata alone."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp

from cadre_operator.kube.fields import text
from cadre_operator.watch.entries import HASH
from tests.support.kube import KubeServer

_AGAIN_SECONDS = 0.2
_META = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


@dataclass
class Arrivals:
    """Which objects of one kind were seen, and with which content."""

    hashes: dict[str, str] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def saw(self, name: str, content: str) -> None:
        """Note one."""
        self.hashes[name] = content
        self._news.set()

    async def count(
        self, number: int, other_than: dict[str, str] | None = None, seconds: float = 600
    ) -> None:
        """Wait until so many are there with contents other than these. Raises TimeoutError."""
        before = other_than or {}
        async with asyncio.timeout(seconds):
            while sum(before.get(name) != content for name, content in self.hashes.items()) < number:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def arrivals(server: KubeServer, path: str) -> AsyncIterator[Arrivals]:
    """Watch a list of the API server from its beginning."""
    seen = Arrivals()
    context = ssl.create_default_context(cafile=str(server.certificate))
    headers = {"Authorization": f"Bearer {server.users['admin']}", "Accept": _META}
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as http:
        task = asyncio.create_task(_follow(http, f"{server.url}{path}?watch=true", seen))
        try:
            yield seen
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _follow(http: aiohttp.ClientSession, url: str, seen: Arrivals) -> None:
    """Watch for ever: a busy API server ends the watches of the slow, and a new one tells all again."""
    while True:
        with suppress(aiohttp.ClientError, TimeoutError):
            await _watch(http, url, seen)
        await asyncio.sleep(_AGAIN_SECONDS)


async def _watch(http: aiohttp.ClientSession, url: str, seen: Arrivals) -> None:
    async with http.get(url) as answer:
        async for line in answer.content:
            event = json.loads(line)
            obj = event.get("object")
            seen.saw(text(obj, "metadata", "name"), text(obj, "metadata", "annotations", HASH))
