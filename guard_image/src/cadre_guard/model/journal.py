"""Where the end of a model call is noted: in the turn's record, for the audit, as the turn's own end."""

from cadre_guard.errors import GuardError
from cadre_guard.events import EventLog
from cadre_guard.masking.masker import GuardRefusedError
from cadre_guard.turn.record import CallKind, CallOutcome
from cadre_guard.turn.stopping import TurnStoppedError
from cadre_guard.turn.turn import Turn


class CallJournal:
    """For the calls of one agent."""

    def __init__(self, events: EventLog) -> None:
        self._events = events

    def masked(self, turn: Turn, redactions: dict[str, int]) -> None:
        """A request is about to leave with this many values replaced."""
        if redactions:
            self._events.add("guard.mask", turn, redactions=redactions)

    def done(self, turn: Turn, outcome: CallOutcome) -> None:
        """The model said why it stopped and the stream ended properly."""
        turn.record.finish(outcome)
        self._events.add(
            "model.turn",
            turn,
            kind=outcome.kind.value,
            finishReason=outcome.finish_reason,
            inputTokens=outcome.input_tokens,
            outputTokens=outcome.output_tokens,
        )

    def unreadable(self, turn: Turn | None, reason: str) -> None:
        """A request could not be read and went nowhere; the agent may send a better one."""
        self._events.add("guard.block", turn, result=reason)

    def failed(self, turn: Turn, error: GuardError) -> None:
        """The call came to nothing: the agent can do no better than we did, so the turn ends here."""
        if isinstance(error, TurnStoppedError) or turn.stopping.is_set():
            return
        turn.record.finish(
            CallOutcome(CallKind.WORK, failure=error.reason, message=error.message, retryable=error.retryable)
        )
        action = "guard.block" if isinstance(error, GuardRefusedError) else "model.turn"
        self._events.add(action, turn, result=error.reason)
        turn.stop(error)
