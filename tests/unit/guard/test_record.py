"""The verdict on a turn comes from its last model call and from nothing else."""

import pytest

from cadre_guard.model.outcome import outcome_of, tool_requests
from cadre_guard.turn.record import CallKind, CallOutcome, TurnRecord, judge
from cadre_guard.wire.record import CompletionRecord, Recorder, ToolCallRecord


def _completion(
    text: str = "hi",
    reason: str | None = "stop",
    error: str | None = None,
    calls: tuple[ToolCallRecord, ...] = (),
    finished: bool = True,
) -> CompletionRecord:
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    return CompletionRecord(finished, reason, usage, error, calls, text)


def _record(*outcomes: CallOutcome) -> TurnRecord:
    record = TurnRecord()
    for outcome in outcomes:
        record.finish(outcome)
    return record


def test_an_answer_is_success_with_the_sum_of_all_tokens() -> None:
    calls = ToolCallRecord("c1", "gw__x", "{}")
    record = _record(
        outcome_of(CallKind.WORK, _completion("", "tool_calls", calls=(calls,))),
        outcome_of(CallKind.WORK, _completion("done")),
    )

    assert judge(record).ok and judge(record).text == "done"
    assert (record.calls, record.input_tokens, record.output_tokens) == (2, 10, 4)


def test_a_side_call_is_paid_but_proves_nothing() -> None:
    record = _record(outcome_of(CallKind.COMPACTION, _completion("summary")))

    assert record.calls == 1
    assert judge(record).reason == "ModelNotCalled"


@pytest.mark.parametrize(
    ("completion", "reason", "retryable"),
    [
        (_completion(error="ModelGarbage"), "ModelGarbage", True),
        (_completion(error="EgressBlocked"), "EgressBlocked", False),
        (_completion(error="rate_limit_error"), "ModelFailed", True),
        (_completion(finished=False), "ModelStreamCut", True),
        (_completion(" "), "EmptyAnswer", True),
        (_completion("no", "content_filter"), "ContentFiltered", False),
        (_completion("", "tool_calls", calls=(ToolCallRecord("c", "n", "{"),)), "ModelGarbage", True),
        (_completion("", "tool_calls", calls=(ToolCallRecord("c", "n", "[1]"),)), "ModelGarbage", True),
        (_completion("", "tool_calls", calls=(ToolCallRecord("c", "n", "{}"),)), "TurnLimit", True),
    ],
)
def test_what_is_not_an_answer_is_a_failure(
    completion: CompletionRecord, reason: str, retryable: bool
) -> None:
    verdict = judge(_record(outcome_of(CallKind.WORK, completion)))

    assert (verdict.ok, verdict.reason, verdict.retryable) == (False, reason, retryable)


def test_what_the_gateway_says_of_an_error_is_told_and_what_a_provider_says_is_not() -> None:
    recorder = Recorder()
    recorder.refuse({"error": {"message": "store it there"}, "reason": "CredentialMissing"})
    verdict = judge(_record(outcome_of(CallKind.WORK, recorder.record())))
    assert (verdict.reason, verdict.message, verdict.retryable) == (
        "CredentialMissing",
        "store it there",
        True,
    )
    for odd in (None, "text", {}, {"message": 5}):
        recorder = Recorder()
        recorder.refuse({"error": odd, "reason": "Odd"})
        assert recorder.record().error_message == ""
    recorder.fail({"message": "the caller's own words", "reason": "ModelError"})
    assert "own words" not in outcome_of(CallKind.WORK, recorder.record()).message


def test_a_cut_answer_and_a_refused_tool_are_noted_on_success() -> None:
    assert (
        judge(_record(outcome_of(CallKind.WORK, _completion("long", "length")))).reason == "OutputTruncated"
    )
    record = _record(outcome_of(CallKind.WORK, _completion("I may not.")))
    record.refusals["c1"] = "no mail on Sundays"

    assert (judge(record).ok, judge(record).reason) == (True, "PolicyDenied")
    assert judge(record).message == "no mail on Sundays"


def test_tool_requests_keep_tokens_and_tolerate_no_arguments() -> None:
    calls = (ToolCallRecord("a", "gw__x", '{"to": "PERSONx0"}'), ToolCallRecord("b", "gw__y", ""))

    found = tool_requests(_completion(calls=calls))

    assert (found["a"].arguments, found["b"].arguments) == ({"to": "PERSONx0"}, {})
