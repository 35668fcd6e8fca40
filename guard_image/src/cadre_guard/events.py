"""Facts for the audit, sent in batches; each has its own id, so that sending twice does no harm."""

import asyncio
import logging
import uuid
from collections import deque
from datetime import UTC, datetime

from cadre_api.protocol.guard import GuardEvent, GuardEvents
from cadre_guard.controller.client import ControllerClient
from cadre_guard.errors import GuardError
from cadre_guard.turn.turn import Turn

log = logging.getLogger(__name__)

_BATCH = 500
_LIMIT = 20_000
_EVERY_SECONDS = 0.5


class EventLog:
    """Bounded: when the controller is away for very long the oldest go, and how many is itself an event."""

    def __init__(self, controller: ControllerClient) -> None:
        self._controller = controller
        self._waiting: deque[GuardEvent] = deque()
        self._dropped = 0
        self._wake = asyncio.Event()

    def add(
        self,
        action: str,
        turn: Turn | None = None,
        *,
        result: str = "ok",
        redactions: dict[str, int] | None = None,
        duration_ms: float | None = None,
        **data: str | int | bool,
    ) -> None:
        """Note a fact; `data` must never hold a value from a text."""
        if len(self._waiting) >= _LIMIT:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(
            GuardEvent(
                id=str(uuid.uuid4()),
                at=datetime.now(UTC),
                task_id=turn.lease.task_id if turn else "",
                session_id=turn.lease.session_id if turn else "",
                action=action,
                result=result,
                redactions=redactions or {},
                duration_ms=duration_ms,
                data=dict(data),
            )
        )
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(_EVERY_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Send what waits; what cannot be sent stays for the next time."""
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self.add("guard.eventsDropped", result="Overflow", count=dropped)
        while self._waiting:
            batch = [self._waiting[i] for i in range(min(_BATCH, len(self._waiting)))]
            try:
                await self._controller.send_events(GuardEvents(events=tuple(batch)))
            except GuardError as error:
                log.warning("events not sent", extra={"reason": error.reason})
                if error.retryable:
                    self._wake.set()
                    return
            sent = {event.id for event in batch}
            while self._waiting and self._waiting[0].id in sent:
                self._waiting.popleft()
