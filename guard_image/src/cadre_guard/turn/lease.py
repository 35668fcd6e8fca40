"""Keeping a lease: a beat every third of its life; the turn stops when it is gone or the task cancelled."""

import asyncio
import logging
from datetime import UTC, datetime

from cadre_guard.controller.client import ControllerClient
from cadre_guard.errors import GuardError, LeaseLostError
from cadre_guard.turn.turn import Turn

log = logging.getLogger(__name__)

_SHORTEST, _LONGEST = 0.2, 20.0


class TaskCancelledError(GuardError):
    """A person or a parent task does not want the result any more."""

    def __init__(self) -> None:
        super().__init__("Cancelled", "the task was cancelled", retryable=False)


async def keep_lease(controller: ControllerClient, turn: Turn) -> None:
    """Beat until cancelled; stops the turn when the lease is lost or the task cancelled.

    A controller that is away is no reason to stop: it gives every lease grace when it is back.
    """
    expires = turn.lease.expires_at
    while True:
        left = (expires - datetime.now(UTC)).total_seconds()
        await asyncio.sleep(min(max(left / 3, _SHORTEST), _LONGEST))
        try:
            answer = await controller.heartbeat(turn.lease.task_id, turn.lease.fence)
        except LeaseLostError as error:
            turn.stop(error)
            return
        except GuardError as error:
            log.warning("heartbeat failed", extra={"reason": error.reason, "task": turn.lease.task_id})
            continue
        expires = answer.expires_at
        if answer.cancelled:
            turn.stop(TaskCancelledError())
            return
