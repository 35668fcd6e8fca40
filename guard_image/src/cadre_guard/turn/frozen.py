"""A frozen turn stands still: neither its own deadline nor the task's comes nearer."""

import asyncio

from cadre_guard.controller.standstill import Standstill
from cadre_guard.turn.turn import Turn

_HOLD_SECONDS = 365 * 24 * 3600.0


async def stop_clocks(standstill: Standstill, turn: Turn) -> None:
    """Keep the turn's clocks stopped while the agent is frozen, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await standstill.begun()
        began = loop.time()
        _shift(turn, _HOLD_SECONDS)
        try:
            await standstill.over()
        finally:
            _shift(turn, loop.time() - began - _HOLD_SECONDS)


def _shift(turn: Turn, seconds: float) -> None:
    turn.deadline += seconds
    turn.latest += seconds
