"""Frozen: the controller refuses everything we say; we hold what we were about to say until it takes us back.

However much waits, one request at a time asks again, so that a frozen tenant does not drown its controller.
"""

import asyncio
import random

from cadre_guard.errors import GuardError

FROZEN = "Frozen"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.3, 3.0


def is_frozen(error: GuardError) -> bool:
    """Whether this refusal says that the agent is frozen."""
    return error.reason == FROZEN and error.status == 403


class Standstill:
    """Whether this guard stands still, as the controller last said."""

    def __init__(self) -> None:
        self._asking = asyncio.Lock()
        self._frozen = asyncio.Event()
        self._moving = asyncio.Event()
        self._moving.set()
        self._pause = _FIRST_PAUSE

    async def refused(self) -> None:
        """We were told that we are frozen: return when it is time to ask again."""
        if not self._frozen.is_set():
            self._pause = _FIRST_PAUSE
            self._moving.clear()
            self._frozen.set()
        async with self._asking:
            if self._frozen.is_set():
                await self._wait()

    def answered(self) -> None:
        """Something was served: we are not frozen, or not any more."""
        if self._frozen.is_set():
            self._frozen.clear()
            self._moving.set()

    async def begun(self) -> None:
        """Wait until we are frozen."""
        await self._frozen.wait()

    async def over(self) -> None:
        """Wait until we are not frozen."""
        await self._moving.wait()

    async def _wait(self) -> None:
        spread = random.uniform(0.7, 1.3)  # noqa: S311 - spreads load, guards nothing
        pause, self._pause = self._pause * spread, min(self._pause * 2, _LONGEST_PAUSE)
        try:
            async with asyncio.timeout(pause):
                await self._moving.wait()
        except TimeoutError:
            return
