"""A kubelet's port-forward, as the API server asks for it: WebSocket channels to a port of this machine."""

import asyncio
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import WSMsgType, web

PROTOCOL = "v4.channel.k8s.io"


@dataclass
class Kubelet:
    """A node's agent; every port of its pods is the port `target` of this machine."""

    port: int
    target: int
    asked: list[str] = field(default_factory=list)
    """Pods that somebody was forwarded to."""
    lines: list[str] = field(default_factory=list)
    """What every container has written."""

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """The last lines of a container; a follower gets one more."""
        tail = int(request.query.get("tailLines", len(self.lines)))
        answer = web.StreamResponse()
        await answer.prepare(request)
        container = request.match_info["container"]
        for line in self.lines[len(self.lines) - tail :]:
            await answer.write(f"{container}: {line}\n".encode())
        if request.query.get("follow"):
            await answer.write(b"and more\n")
        return answer

    async def forward(self, request: web.Request) -> web.WebSocketResponse:
        """Data on channel 0, errors on channel 1; each begins with the port."""
        self.asked.append(request.match_info["pod"])
        socket = web.WebSocketResponse(protocols=[PROTOCOL])
        await socket.prepare(request)
        port = struct.pack("<H", int(request.query.get("port") or request.query["ports"]))
        for channel in (b"\0", b"\1"):
            await socket.send_bytes(channel + port)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError as error:
            await socket.send_bytes(b"\1" + f"cannot connect: {error.strerror}".encode())
            return socket
        back = asyncio.ensure_future(self._back(reader, socket))
        with suppress(ConnectionError):
            async for message in socket:
                if message.type is WSMsgType.BINARY and message.data[:1] == b"\0":
                    writer.write(message.data[1:])
                    await writer.drain()
        back.cancel()
        writer.close()
        return socket

    @staticmethod
    async def _back(reader: asyncio.StreamReader, socket: web.WebSocketResponse) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await socket.send_bytes(b"\0" + data)
            await socket.close()


@contextmanager
def running_kubelet(certificate: tuple[Path, Path], target: int) -> Iterator[Kubelet]:
    """Serve in a thread of its own."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    kubelet = Kubelet(0, target)

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/portForward/{namespace}/{pod}", kubelet.forward)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", kubelet.logs)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        kubelet.port = runner.addresses[0][1]
        started.set()
        return runner

    def serve() -> None:
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    started.wait(30)
    try:
        yield kubelet
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)


@contextmanager
def tls_front(certificate: tuple[Path, Path], target: int) -> Iterator[int]:
    """A TLS port of this machine in front of a plain one; yields it."""
    loop = asyncio.new_event_loop()
    ready: list[int] = []
    started = threading.Event()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", target)
        try:
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        finally:
            writer.transport.abort()
            inner_writer.transport.abort()

    async def start() -> asyncio.Server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
        server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
        ready.append(server.sockets[0].getsockname()[1])
        started.set()
        return server

    def serve() -> None:
        server = loop.run_until_complete(start())
        loop.run_forever()
        server.close()
        loop.run_until_complete(_end_relays())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    started.wait(30)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)


async def _end_relays() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)  # an aborted transport closes its socket a moment later


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
