"""Moves a provider's stream to the guard as it comes: comments while it is silent, a clear last event when
it fails.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from cadre_controller.gateways.model.watch import StreamWatch

KEEPALIVE = b": keepalive\n\n"
BLANK_LINE = b"\n"
"""What keeps a stream of lines alive, which have no comments: readers pass over it."""


class Sink(Protocol):
    """Where the guard's bytes go; `write` raises ConnectionError when the guard is gone."""

    async def write(self, data: bytes) -> None:
        """Send now."""
        ...


class QuietSink:
    """A sink that sends keep-alive comments while nothing else is written; only between whole events."""

    def __init__(self, sink: Sink, interval: float, keepalive: bytes = KEEPALIVE) -> None:
        self._sink = sink
        self._keepalive = keepalive
        self._interval = interval
        self._lock = asyncio.Lock()
        self._spoke = False
        self.gone = False
        self.wrote = False

    async def write(self, data: bytes) -> None:
        """Send whole events."""
        self.wrote = True
        await self._send(data)

    async def keep_alive(self) -> None:
        """Run beside the call until cancelled; ends when the guard is gone."""
        while not self.gone:
            self._spoke = False
            await asyncio.sleep(self._interval)
            if not self._spoke:
                await self._send(self._keepalive)

    async def _send(self, data: bytes) -> None:
        async with self._lock:
            self._spoke = True
            try:
                await self._sink.write(data)
            except ConnectionError:
                self.gone = True
                raise


async def relay(chunks: AsyncIterator[bytes], watch: StreamWatch, sink: QuietSink) -> None:
    """Forward whole events until the stream ends well; raises ModelFault, ConnectionError.

    What precedes the first choice is held, so that a failure there can still be tried again elsewhere.
    """
    held = b""
    async for chunk in chunks:
        held += watch.feed(chunk)
        if held and watch.started:
            await sink.write(held)
            held = b""
    held += watch.finish()
    if held:
        await sink.write(held)
