"""A turn in progress, and where the endpoints find it by the agent's session id."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from opentelemetry.context import Context

from cadre_api.protocol.guard import AgentBundle, Lease
from cadre_guard.errors import GuardError
from cadre_guard.masking.pairs import SessionPairs
from cadre_guard.turn.record import TurnRecord

_HOLD_SECONDS = 7 * 24 * 3600.0


@dataclass(slots=True)
class Turn:
    """Everything the endpoints need to know about the work behind a request."""

    lease: Lease
    bundle: AgentBundle
    pairs: SessionPairs
    deadline: float
    """Loop time at which the agent has worked long enough; waiting for a human moves it."""
    latest: float
    """Loop time at which the task itself is over, whatever it waits for."""
    trace: Context | None = None
    record: TurnRecord = field(default_factory=TurnRecord)
    agent_session: str = ""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set = end what is under way, answer open permissions with `cancelled`."""
    failure: GuardError | None = None
    holds: int = 0
    """How many of its calls wait for a human right now."""

    def stop(self, failure: GuardError) -> None:
        """End the turn for this reason; the first reason stays."""
        if self.failure is None:
            self.failure = failure
        self.stopping.set()

    def remaining(self) -> float:
        """Seconds until the turn's deadline, never below zero."""
        return max(0.0, min(self.deadline, self.latest) - asyncio.get_running_loop().time())

    @contextmanager
    def on_hold(self) -> Iterator[None]:
        """Time spent in here is a human's, not the agent's."""
        loop = asyncio.get_running_loop()
        began, self.deadline = loop.time(), self.deadline + _HOLD_SECONDS
        self.holds += 1
        try:
            yield
        finally:
            self.holds -= 1
            self.deadline += loop.time() - began - _HOLD_SECONDS


class TurnRegistry:
    """Turns by the agent's session id: ids are guessable, so each names a turn of this one process only."""

    def __init__(self) -> None:
        self._by_session: dict[str, Turn] = {}

    def add(self, session: str, turn: Turn) -> None:
        """Make a turn findable."""
        turn.agent_session = session
        self._by_session[session] = turn

    def remove(self, turn: Turn) -> None:
        """The turn is over: later requests under its session are refused, unless it is another turn's by now
        (an agent counts its sessions, and gives a forgotten one's id again).
        """
        if self._by_session.get(turn.agent_session) is turn:
            del self._by_session[turn.agent_session]

    def find(self, session: str) -> Turn | None:
        """The running turn behind an agent's session id."""
        turn = self._by_session.get(session)
        if not session and len(self._by_session) == 1:
            turn = next(iter(self._by_session.values()))  # an agent that names no session has only this one
        return None if turn is None or turn.stopping.is_set() else turn
