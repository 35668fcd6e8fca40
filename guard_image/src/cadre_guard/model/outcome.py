"""From the wire's record of a model call to what the turn must remember."""

import re

from cadre_guard.jsonvalue import as_count, parse_object
from cadre_guard.turn.record import CallKind, CallOutcome, ToolRequest
from cadre_guard.wire.record import CompletionRecord

_FINAL = frozenset({"EgressBlocked", "BudgetExceeded", "NoModel", "AgentNotRunning", "PolicyDenied"})
"""Reasons of the gateway that another attempt would only meet again."""
_REASON = re.compile(r"[A-Z][A-Za-z0-9]{2,60}")


def outcome_of(kind: CallKind, record: CompletionRecord) -> CallOutcome:
    """A call counts as done only when the model said why it stopped and the stream ended properly."""
    usage = record.usage or {}
    tokens = (as_count(usage.get("prompt_tokens")), as_count(usage.get("completion_tokens")))
    if record.error is not None:
        reason = record.error if _REASON.fullmatch(record.error) else "ModelFailed"
        retryable = reason not in _FINAL
        return CallOutcome(kind, failure=reason, message="the model reported an error", retryable=retryable)
    if not record.finished:
        return CallOutcome(kind, failure="ModelStreamCut", message="the model's stream ended too early")
    if kind is CallKind.WORK and _is_empty(record):
        return CallOutcome(kind, failure="EmptyAnswer", message="the model answered nothing")
    for call in record.tool_calls:
        if call.arguments_masked.strip() and parse_object(call.arguments_masked) is None:
            return CallOutcome(
                kind, failure="ModelGarbage", message="a tool call's arguments are no JSON object"
            )
    return CallOutcome(
        kind,
        finish_reason=record.finish_reason or "",
        text=record.text_masked,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
    )


def _is_empty(record: CompletionRecord) -> bool:
    withheld = record.finish_reason == "content_filter"
    return not record.tool_calls and not record.text_masked.strip() and not withheld


def tool_requests(record: CompletionRecord) -> dict[str, ToolRequest]:
    """The tool calls by id, with tokens in their arguments."""
    return {
        call.id: ToolRequest(call.id, call.name, parse_object(call.arguments_masked or "{}") or {})
        for call in record.tool_calls
    }
