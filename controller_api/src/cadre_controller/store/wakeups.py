"""Who waits for what in this process: long polls sleep here until a commit, a notification or the safety
poll wakes them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Result = TypeVar("Result")

POLL_SECONDS = 1.0


class Wakeups:
    """Named channels; waking one is a set operation, never a message that could be lost or queued up."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._calls: dict[str, set[Callable[[], None]]] = {}
        self._closed = False

    def wake(self, channels: Iterable[str]) -> None:
        """Wake everyone who waits on any of the channels."""
        for channel in channels:
            for event in self._waiting.get(channel, ()):
                event.set()
            for call in tuple(self._calls.get(channel, ())):
                call()

    def call(self, channel: str, then: Callable[[], None]) -> None:
        """Call this whenever the channel is woken, until `uncall`; for waits too many to have a task each."""
        self._calls.setdefault(channel, set()).add(then)

    def uncall(self, channel: str, then: Callable[[], None]) -> None:
        """End what `call` began; no error when it never did."""
        calls = self._calls.get(channel, set())
        calls.discard(then)
        if not calls:
            self._calls.pop(channel, None)

    def close(self) -> None:
        """End every wait now and let later ones return at once (shutdown)."""
        self._closed = True
        self.wake(tuple(self._waiting))

    async def until(
        self,
        channels: Iterable[str],
        look: Callable[[], Awaitable[Result | None]],
        wait_seconds: float,
        *,
        poll_seconds: float = POLL_SECONDS,
    ) -> Result | None:
        """Repeat `look` on each wake-up, and once a second besides, until it finds something or time is up.

        Registering happens before the first look, so that a commit between look and sleep is never missed.
        Thousands that wait at the same time take an infinite `poll_seconds`, and have somebody wake them.
        """
        names = tuple(channels)
        event = asyncio.Event()
        for name in names:
            self._waiting.setdefault(name, set()).add(event)
        try:
            return await self._look_until(event, look, wait_seconds, poll_seconds)
        finally:
            for name in names:
                self._forget(name, event)

    async def _look_until(
        self,
        event: asyncio.Event,
        look: Callable[[], Awaitable[Result | None]],
        wait_seconds: float,
        poll_seconds: float,
    ) -> Result | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_seconds
        while True:
            event.clear()
            found = await look()
            left = deadline - loop.time()
            if found is not None or left <= 0 or self._closed:
                return found
            try:
                async with asyncio.timeout(min(left, poll_seconds)):
                    await event.wait()
            except TimeoutError:
                continue

    def _forget(self, name: str, event: asyncio.Event) -> None:
        events = self._waiting.get(name)
        if events is not None:
            events.discard(event)
            if not events:
                del self._waiting[name]
