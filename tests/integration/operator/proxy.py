"""A proxy between the operator and the API server: counts what is written, and breaks the line on demand."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

_MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host"})
CODE = 410


@dataclass(frozen=True)
class Written:
    """A request that may change something."""

    method: str
    path: str
    body: bytes
    status: int

    @property
    def counts(self) -> bool:
        """Whether it changes the cluster: leases come by the clock, access reviews only ask."""
        return "/leases" not in self.path and "subjectaccessreviews" not in self.path


@dataclass
class Proxy:
    """Forwards to `target`; tests turn its switches from their own thread."""

    target: str
    certificate: str
    url: str = ""
    written: list[Written] = field(default_factory=list)
    refuse: Callable[[str, str], tuple[int, dict[str, str]] | None] = field(default=lambda _m, _p: None)
    """Answers a request (method, path) instead of the server: (status, headers)."""
    delay: float = 0.0
    """Seconds that every answer but a watch's takes longer."""
    down: bool = False
    """Whether every request is cut."""
    watches: set[web.StreamResponse] = field(default_factory=set)
    block_watches: bool = False
    expire_watches: bool = False
    """Answer watches that their version is too old, as after a long cut."""
    expired: set[str] = field(default_factory=set)
    """What was watched (plural) by those that were answered so."""
    _transports: set[asyncio.Transport] = field(default_factory=set)
    loop: asyncio.AbstractEventLoop | None = None

    def changes(self) -> list[Written]:
        """Return what was written, besides leases and questions."""
        return [one for one in self.written if one.counts]

    def cut(self) -> None:
        """Cut all open connections, watches included; afterwards none of them tells anything more."""
        assert self.loop is not None
        asyncio.run_coroutine_threadsafe(self._cut(), self.loop).result(60)

    async def _cut(self) -> None:
        for transport in list(self._transports):
            transport.abort()


async def _forward(proxy: Proxy, session: aiohttp.ClientSession, request: web.Request) -> web.StreamResponse:
    transport = request.transport
    assert isinstance(transport, asyncio.Transport)
    watch = "watch=true" in request.query_string
    if proxy.down or (watch and proxy.block_watches):
        transport.abort()
        return web.Response(status=503)
    body = await request.read()
    await asyncio.sleep(0 if watch else proxy.delay)
    refused = proxy.refuse(request.method, request.path)
    if refused is not None:
        _note(proxy, request, body, refused[0])
        return web.json_response(
            {"kind": "Status", "message": "refused"}, status=refused[0], headers=refused[1]
        )
    if watch and proxy.expire_watches:
        proxy.expired.add(request.path.rpartition("/")[2])
        error = {"kind": "Status", "code": CODE, "reason": "Expired"}
        return web.json_response({"type": "ERROR", "object": error})
    headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
    url = proxy.target + request.path_qs
    proxy._transports.add(transport)
    try:
        async with session.request(request.method, url, data=body or None, headers=headers) as answer:
            _note(proxy, request, body, answer.status)
            return await _stream(request, answer)
    finally:
        proxy._transports.discard(transport)


async def _stream(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP}
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    with suppress(ConnectionError):
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
    return response


def _note(proxy: Proxy, request: web.Request, body: bytes, status: int) -> None:
    if request.method in _MUTATING:
        proxy.written.append(Written(request.method, request.path, body, status))


async def _serve(proxy: Proxy, ready: threading.Event, stop: asyncio.Event) -> None:
    context = ssl.create_default_context(cafile=proxy.certificate)
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        app = web.Application(client_max_size=64 * 1024 * 1024)

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return await _forward(proxy, session, request)
            except aiohttp.ClientError:
                return web.Response(status=502)

        app.router.add_route("*", "/{tail:.*}", handle)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server = runner.addresses[0]
        proxy.url = f"http://127.0.0.1:{server[1]}"
        proxy.loop = asyncio.get_running_loop()
        ready.set()
        await stop.wait()
        await proxy._cut()
        await runner.cleanup()


@contextmanager
def running_proxy(target: str, certificate: str) -> Iterator[Proxy]:
    """Run a proxy in a thread of its own."""
    assert urlsplit(target).scheme == "https"
    proxy, ready = Proxy(target, certificate), threading.Event()
    stop: list[Callable[[], None]] = []

    def run() -> None:
        async def main() -> None:
            event = asyncio.Event()
            stop.append(lambda: proxy.loop.call_soon_threadsafe(event.set) and None)  # type: ignore[union-attr]
            await _serve(proxy, ready, event)

        asyncio.run(main())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield proxy
    finally:
        stop[0]()
        thread.join(60)
