"""The event loop of the tests: it hangs up on a client that comes just as its server stops.

asyncio 3.11 accepts such a connection, fails to attach it to the closed server, and closes it nowhere: the
garbage collector finds the socket in the midst of some other test.
"""

import asyncio
import socket
from collections.abc import Callable

from typing_extensions import override


class TidyLoop(asyncio.SelectorEventLoop):
    """Accepts nothing for a server that is closed."""

    @override
    async def _accept_connection2(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        conn: socket.socket,
        extra: object,
        sslcontext: object = None,
        server: asyncio.Server | None = None,
        *timeouts: float,
    ) -> None:
        if server is not None and not server.is_serving():
            conn.close()
            return
        await super()._accept_connection2(protocol_factory, conn, extra, sslcontext, server, *timeouts)


class TidyPolicy(asyncio.DefaultEventLoopPolicy):
    """asyncio's own policy, with `TidyLoop`."""

    _loop_factory = TidyLoop
