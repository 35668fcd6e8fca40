"""Hears what other processes committed, and wakes the waiters of this one."""

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any

import asyncpg

from cadre_controller.store.pool import CONNECTION_ERRORS
from cadre_controller.store.wakeups import Wakeups

logger = logging.getLogger(__name__)


class Listener:
    """One direct connection in LISTEN; while it is down the safety poll of every waiter still works."""

    def __init__(self, dsn: str, wakeups: Wakeups, sender: str) -> None:
        self._dsn = dsn
        self._wakeups = wakeups
        self._sender = sender
        self._task: asyncio.Task[None] | None = None
        self.listening = asyncio.Event()

    async def start(self) -> None:
        """Begin listening in the background."""
        self._task = asyncio.create_task(self._run(), name="listener")

    async def stop(self) -> None:
        """Stop and disconnect."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        pause = 0.1
        while True:
            try:
                await self._listen()
                pause = 0.1
            except CONNECTION_ERRORS as error:
                logger.warning("listener disconnected", extra={"error": type(error).__name__})
            self.listening.clear()
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(self._dsn, server_settings={"application_name": "cadre-listener"})
        gone = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: gone.set())
            await connection.add_listener("cadre", self._heard)
            self.listening.set()
            await gone.wait()
        finally:
            connection.terminate()

    def _heard(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        try:
            sender, *channels = json.loads(payload)
        except ValueError:
            logger.warning("notification not understood")
            return
        if sender != self._sender:
            self._wakeups.wake(channels)
