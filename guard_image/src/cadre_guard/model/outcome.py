"""From the wire's record of a model call to what the turn must remember."""

import re

from cadre_guard.jsonvalue import as_count, parse_object
from cadre_guard.turn.record import CallKind, CallOutcome, ToolRequest
from cadre_guard.wire.record import CompletionRecord

_FINAL = frozenset({"EgressBlocked", "BudgetExceeded", "NoModel", "AgentNotRunning", "PolicyDenied"})
"""Reasons of the gateway that another attempt would only meet again."""
_FINISH = {
    **dict.fromkeys(("tool_use", "function_call"), "tool_calls"),
    **dict.fromkeys(("max_tokens", "MAX_TOKENS", "max_output_tokens", "load"), "length"),
    **dict.fromkeys(("end_turn", "stop_sequence", "pause_turn", "STOP", "unload"), "stop"),
    **dict.fromkeys(("refusal", "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT"), "content_filter"),
}
"""Why a model stopped, in the words of chat completions."""
_INPUT = ("prompt_tokens", "input_tokens", "prompt_eval_count", "promptTokenCount")
_OUTPUT = ("completion_tokens", "output_tokens", "eval_count", "candidatesTokenCount")
_REASON = re.compile(r"[A-Z][A-Za-z0-9]{2,60}")


def outcome_of(kind: CallKind, record: CompletionRecord) -> CallOutcome:
    """A call counts as done only when the model said why it stopped and the stream ended properly."""
    tokens = (_tokens(record, _INPUT), _tokens(record, _OUTPUT))
    if record.error is not None:
        reason = record.error if _REASON.fullmatch(record.error) else "ModelFailed"
        retryable = reason not in _FINAL
        message = record.error_message or "the model reported an error"
        return CallOutcome(kind, failure=reason, message=message, retryable=retryable)
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
        finish_reason=_finish(record),
        text=record.text_masked,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
    )


def _is_empty(record: CompletionRecord) -> bool:
    withheld = _finish(record) == "content_filter"
    return not record.tool_calls and not record.text_masked.strip() and not withheld


def _tokens(record: CompletionRecord, names: tuple[str, ...]) -> int:
    usage = record.usage or {}
    return next((as_count(usage[name]) for name in names if name in usage), 0)


def _finish(record: CompletionRecord) -> str:
    reason = record.finish_reason or ""
    reason = _FINISH.get(reason, reason)
    # some formats have no word for stopping to call tools
    return "tool_calls" if reason == "stop" and record.tool_calls else reason


def tool_requests(record: CompletionRecord) -> dict[str, ToolRequest]:
    """The tool calls by id, with tokens in their arguments."""
    return {
        call.id: ToolRequest(call.id, call.name, parse_object(call.arguments_masked or "{}") or {})
        for call in record.tool_calls
    }
