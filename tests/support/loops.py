"""The event loop of the tests: it hangs up on clients that come just as their server, or the loop, stops.

asyncio 3.11 accepts such a connection, fails to attach it to the closed server, and closes it nowhere; or it
attaches it, and the task that should handle it is cancelled before its first step. Either way the garbage
collector finds the socket in the midst of some other test.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine, MutableMapping
from concurrent.futures import ThreadPoolExecutor

from typing_extensions import override


class TidyLoop(asyncio.SelectorEventLoop):
    """Accepts nothing for a server that is closed, and leaves none of its servers' connections open."""

    _transports: MutableMapping[int, asyncio.Transport]
    """By file descriptor, weakly: asyncio's own."""

    def __init__(self) -> None:
        super().__init__()
        self._arriving: set[socket.socket] = set()

    @override
    def close(self) -> None:
        left = [one for one in self._transports.values() if _is_open(one) and _is_left(one)]
        for transport in left:
            transport.abort()
        if left:
            with ThreadPoolExecutor(1) as apart:  # in this thread another loop may be running
                apart.submit(lambda: self.run_until_complete(asyncio.sleep(0))).result()
        for arriving in self._arriving:
            arriving.close()
        super().close()

    @override
    def _accept_connection2(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        conn: socket.socket,
        extra: object,
        sslcontext: object = None,
        server: asyncio.Server | None = None,
        *timeouts: float,
    ) -> Coroutine[None, None, None]:
        self._arriving.add(conn)

        async def accept() -> None:
            self._arriving.discard(conn)
            if server is not None and not server.is_serving():
                conn.close()
                return
            await parent(protocol_factory, conn, extra, sslcontext, server, *timeouts)

        parent = super()._accept_connection2
        return accept()


def _is_open(transport: asyncio.Transport) -> bool:
    return getattr(transport, "_sock", None) is not None


def _is_left(transport: asyncio.Transport) -> bool:
    return transport.is_closing() or getattr(transport, "_server", None) is not None


class TidyPolicy(asyncio.DefaultEventLoopPolicy):
    """asyncio's own policy, with `TidyLoop`."""

    _loop_factory = TidyLoop
