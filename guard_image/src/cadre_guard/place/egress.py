"""Is the network really shut? A CNI may take network policies and enforce none, so we knock where we must
not. The targets answer everyone whom policy lets through: after one answer the agent must not start.
"""

import asyncio
import logging
from collections.abc import Sequence

from cadre_guard.errors import GuardError

log = logging.getLogger(__name__)

_KNOCK_SECONDS = 1.5
"""Long enough for the kernel to send a lost first packet again, which it does after a second."""
_ROUNDS, _APART_SECONDS = 2, 0.25
REASON = "ProbeAnswered"
Target = tuple[str, int]


class EgressOpenError(GuardError):
    """Something answered that the pod must not reach."""

    def __init__(self, target: Target) -> None:
        host, port = target
        super().__init__(REASON, f"{host}:{port} answers, so no network policy holds here", retryable=False)
        self.target = f"{host}:{port}"


async def require_sealed(targets: Sequence[Target]) -> None:
    """Knock at every target, twice; raises EgressOpenError at the first that answers.

    Call it when the one way out works: silence in a dead network proves nothing.
    """
    knocks = [
        asyncio.create_task(_opened(target, turn * _APART_SECONDS))
        for turn in range(_ROUNDS)
        for target in targets
    ]
    try:
        for knock in asyncio.as_completed(knocks):
            target = await knock
            if target is not None:
                raise EgressOpenError(target)
    finally:
        for task in knocks:
            task.cancel()
        await asyncio.gather(*knocks, return_exceptions=True)
    log.info("egress is sealed", extra={"targets": len(targets)})


async def _opened(target: Target, delay: float) -> Target | None:
    await asyncio.sleep(delay)
    return target if await _answers(target) else None


async def _answers(target: Target) -> bool:
    try:
        async with asyncio.timeout(_KNOCK_SECONDS):
            _reader, writer = await asyncio.open_connection(*target)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
