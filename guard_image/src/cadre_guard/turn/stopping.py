"""Waiting for something that a stopped turn must not wait for any longer."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from cadre_guard.errors import GuardError
from cadre_guard.turn.turn import Turn

_T = TypeVar("_T")


class TurnStoppedError(GuardError):
    """The turn was stopped while this was under way."""

    def __init__(self) -> None:
        super().__init__("TurnStopped", "the turn was stopped", retryable=False)


async def until_stopped(turn: Turn, work: Coroutine[object, object, _T]) -> _T:
    """The result of `work`, which is cancelled when the turn stops: raises TurnStoppedError then."""
    task = asyncio.ensure_future(work)
    stopped = asyncio.ensure_future(turn.stopping.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise TurnStoppedError
    finally:
        for each in (task, stopped):
            each.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)
