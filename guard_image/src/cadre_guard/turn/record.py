"""What a turn's model calls did, as the guard saw it: the only witness of success.

The agent's own stop reason is `end_turn` for errors too, and its usage may be an earlier turn's.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from cadre_guard.jsonvalue import JsonObject


class CallKind(StrEnum):
    """What the agent wanted from the model."""

    WORK = "Work"
    TITLE = "Title"
    COMPACTION = "Compaction"
    CLASSIFIER = "Classifier"
    EMBEDDING = "Embedding"


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A tool call the model asked for, as it asked: tokens, not values."""

    id: str
    name: str
    """As offered to the model, e.g. `gw__ledger_read_budget`."""
    arguments: JsonObject


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """One model call, finished."""

    kind: CallKind
    finish_reason: str = ""
    text: str = ""
    """Masked."""
    failure: str = ""
    """Reason, CamelCase; empty = it went well."""
    message: str = ""
    retryable: bool = True
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(slots=True)
class TurnRecord:
    """Filled by the model endpoint, read by permissions, tool calls and the verdict."""

    tools: dict[str, ToolRequest] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    """Tool call id -> why it was not allowed."""
    call_ids: set[str] = field(default_factory=set)
    """All tool call ids of this turn, so that each is used once."""
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    last: CallOutcome | None = None
    """The latest call of kind WORK."""

    def finish(self, outcome: CallOutcome) -> None:
        """Take note of a finished call."""
        self.calls += 1
        self.input_tokens += outcome.input_tokens
        self.output_tokens += outcome.output_tokens
        if outcome.kind is CallKind.WORK:
            self.last = outcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a turn ended: `reason` empty or a note on success, the cause otherwise."""

    ok: bool
    text: str = ""
    reason: str = ""
    message: str = ""
    retryable: bool = True


def judge(record: TurnRecord) -> Verdict:
    """The turn's verdict from its last model call."""
    last = record.last
    if last is None:
        return Verdict(False, reason="ModelNotCalled", message="the agent ended without asking the model")
    if last.failure:
        return Verdict(False, reason=last.failure, message=last.message, retryable=last.retryable)
    if last.finish_reason == "tool_calls":
        return Verdict(False, reason="TurnLimit", message="the agent stopped in the middle of its tool calls")
    if last.finish_reason == "content_filter":
        return Verdict(
            False, reason="ContentFiltered", message="the provider withheld the answer", retryable=False
        )
    if not last.text.strip():
        return Verdict(False, reason="EmptyAnswer", message="the model answered nothing")
    note = "OutputTruncated" if last.finish_reason == "length" else ""
    if record.refusals:
        note, message = "PolicyDenied", "; ".join(sorted(set(record.refusals.values())))
        return Verdict(True, last.text, note, message)
    return Verdict(True, last.text, note)
