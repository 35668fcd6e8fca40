"""The loop that sends what workflows ask of services outside; a slow service holds up nothing else."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from cadre_controller.errors import CadreError
from cadre_controller.services.kernel import Kernel
from cadre_controller.services.step_requests import CHANNEL, Answer, Asked, Fault, StepRequests
from cadre_controller.store.pool import Row

Send = Callable[[Asked], Awaitable[Answer | Fault]]
_LOG = logging.getLogger(__name__)
_MOST = 64
"""Requests of this process at the same time."""
_EVERY = 1.0
_REST = 0.02


class RequestRunner:
    """Sends what is due, each in a task of its own, until cancelled."""

    def __init__(self, kernel: Kernel, requests: StepRequests, send: Send) -> None:
        self._kernel = kernel
        self._requests = requests
        self._send = send
        self._busy: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Send for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                rows = await self._kernel.wakeups.until((CHANNEL,), self._due, _EVERY)
                for row in rows or ():
                    self._busy.add((row["tenant"], row["id"]))
                    group.create_task(self._one(row))
                await asyncio.sleep(_REST)

    async def _due(self) -> Sequence[Row] | None:
        try:
            rows = await self._requests.due()
        except CadreError as error:
            _LOG.warning("requests not read", extra={"reason": error.reason})
            return None
        free = [row for row in rows if (row["tenant"], row["id"]) not in self._busy]
        return free[: max(0, _MOST - len(self._busy))] or None

    async def _one(self, row: Row) -> None:
        try:
            asked = await self._requests.claim(row)
            if asked is not None:
                await self._requests.finish(row, asked, await self._send(asked))
        except CadreError as error:
            _LOG.warning("a request is tried later", extra={"reason": error.reason, "request": row["id"]})
        except Exception as error:
            reason = type(error).__name__
            _LOG.exception("a request is tried later", extra={"reason": reason, "request": row["id"]})
        finally:
            self._busy.discard((row["tenant"], row["id"]))
