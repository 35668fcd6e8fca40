"""ACP to an agent in another container: its own WebSocket (`goose serve`), or a shim before its pipes."""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from cadre_guard.acp.connection import LineReader, LineWriter

_MESSAGE_LIMIT = 64 * 1024 * 1024
"""Bytes of one message: a whole session's history is replayed in such."""
_CONNECT_SECONDS = 5.0
_CLOSE_SECONDS = 2.0
_GREETING = "CADRE1"


class LinkRefusedError(Exception):
    """Somebody answers there who does not take our key: not the agent we mean to talk to."""


class Link(Protocol):
    """An open connection to an agent."""

    @property
    def reader(self) -> LineReader:
        """What it says."""
        ...

    @property
    def writer(self) -> LineWriter:
        """What it is told."""
        ...

    async def close(self) -> None:
        """Hang up; the agent ends whatever was under way."""
        ...


class Dialer(Protocol):
    """How an agent is reached."""

    async def dial(self, key: str) -> Link:
        """Connect; raises LinkRefusedError, or OSError while nobody answers."""
        ...

    async def answers(self) -> bool:
        """Whether the agent's process answers at all, in bounded time."""
        ...


@dataclass(frozen=True, slots=True)
class WebSocketDialer:
    """`/acp` of an agent that serves ACP itself."""

    host: str
    port: int
    health_path: str = ""
    """Answers without a key; empty = an open port is all that can be told."""

    async def dial(self, key: str) -> "WebSocketLink":
        """Connect with the key in the header that goose reads."""
        http = aiohttp.ClientSession()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                socket = await http.ws_connect(
                    f"http://{self.host}:{self.port}/acp",
                    headers={"X-Secret-Key": key},
                    max_msg_size=_MESSAGE_LIMIT,
                )
        except aiohttp.WSServerHandshakeError as error:
            await http.close()
            raise LinkRefusedError(f"HTTP {error.status}") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            await http.close()
            raise ConnectionError(type(error).__name__) from error
        return WebSocketLink(http, socket)

    async def answers(self) -> bool:
        """Its health route, or its port."""
        if not self.health_path:
            return await _port_open(self.host, self.port)
        url = f"http://{self.host}:{self.port}{self.health_path}"
        limit = aiohttp.ClientTimeout(total=_CONNECT_SECONDS)
        try:
            async with aiohttp.ClientSession(timeout=limit) as http, http.get(url) as reply:
                return reply.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


class WebSocketLink:
    """One message per frame; it is its own reader and writer."""

    def __init__(self, http: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._http = http
        self._socket = socket
        self._unsent: deque[str] = deque()

    @property
    def reader(self) -> LineReader:
        """Itself."""
        return self

    @property
    def writer(self) -> LineWriter:
        """Itself."""
        return self

    async def readline(self) -> bytes:
        """The next text frame; empty when the connection has ended."""
        while True:
            message = await self._socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                return str(message.data).encode() + b"\n"
            if message.type is not aiohttp.WSMsgType.BINARY:
                return b""

    def write(self, data: bytes) -> None:
        """Take a line to be sent."""
        self._unsent.append(data.decode().rstrip("\n"))

    async def drain(self) -> None:
        """Send what was taken; raises ConnectionError."""
        while self._unsent:
            await self._socket.send_str(self._unsent.popleft())

    async def close(self) -> None:
        """Close within bounded time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._socket.close()
        await self._http.close()


@dataclass(frozen=True, slots=True)
class ShimDialer:
    """The shim that runs a stdio agent: one process per connection, gone with it."""

    host: str
    port: int

    async def dial(self, key: str) -> "PipeLink":
        """Connect and show the key in the first line."""
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(self.host, self.port, limit=_MESSAGE_LIMIT)
            link = PipeLink(reader, writer)
            try:
                writer.write(f"{_GREETING} {key}\n".encode())
                await writer.drain()
                answer = await reader.readline()
            except (OSError, ValueError):
                answer = b""
            except BaseException:
                await link.close()
                raise
        if answer != b"OK\n":
            await link.close()
            raise LinkRefusedError("the shim refused")
        return link

    async def answers(self) -> bool:
        """An open port: the shim is there."""
        return await _port_open(self.host, self.port)


@dataclass(frozen=True, slots=True)
class PipeLink:
    """A TCP connection that stands for a pair of pipes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def close(self) -> None:
        """Close; the shim kills the agent's process."""
        self.writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.writer.wait_closed()


async def _port_open(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
