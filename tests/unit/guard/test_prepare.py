"""What goose asks of the model, told apart as measured on the pinned version."""

import pytest

from cadre_detect.jsonwalk import Json
from cadre_guard.masking.masker import GuardRefusedError
from cadre_guard.model.prepare import classify, explain_refusals, refuse_foreign_tools
from cadre_guard.turn.record import CallKind, TurnRecord
from cadre_guard.wire.dialects import OPENAI_CHAT


def _body(system: str, *tools: str) -> dict[str, Json]:
    body: dict[str, Json] = {"messages": [{"role": "system", "content": system}]}
    if tools:
        body["tools"] = [{"type": "function", "function": {"name": name}} for name in tools]
    return body


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (_body("You are goose", "gw__x"), CallKind.WORK),
        (_body("Generate a short title for this"), CallKind.TITLE),
        (_body("You are a permission-safety classifier"), CallKind.CLASSIFIER),
        (_body("any", "platform__tool_by_tool_permission"), CallKind.CLASSIFIER),
        (_body("## Task Context\n- An llm context limit was reached"), CallKind.COMPACTION),
        (_body("## Task Context\n- An llm context limit was reached", "gw__x"), CallKind.WORK),
        ({}, CallKind.WORK),
        ({"messages": "text"}, CallKind.WORK),
        ({"messages": [{"role": "system", "content": [{"type": "text"}]}]}, CallKind.WORK),
    ],
)
def test_side_calls_are_recognised(body: dict[str, Json], kind: CallKind) -> None:
    assert classify(OPENAI_CHAT, body) is kind


def test_our_tools_and_those_opted_in_may_be_offered() -> None:
    refuse_foreign_tools(OPENAI_CHAT, _body("s", "gw__x", "shell"), frozenset({"shell"}))

    with pytest.raises(GuardRefusedError):
        refuse_foreign_tools(OPENAI_CHAT, _body("s", "gw__x", "shell"), frozenset())
    with pytest.raises(GuardRefusedError):
        refuse_foreign_tools(OPENAI_CHAT, {"tools": [1]}, frozenset())


def test_the_reason_of_a_refusal_replaces_goose_s_own_words() -> None:
    record = TurnRecord(refusals={"c1": "the budget is spent"})
    declined = "The user has declined to run this tool. DO NOT attempt"
    messages: list[Json] = [
        {"role": "tool", "tool_call_id": "c1", "content": declined},
        {"role": "tool", "tool_call_id": "c2", "content": declined},
        {"role": "user", "content": declined},
    ]

    found = explain_refusals({"messages": messages}, record)["messages"]

    assert isinstance(found, list)
    assert "the budget is spent" in str(found[0])
    assert found[1:] == messages[1:]
    assert explain_refusals({"messages": "odd"}, record) == {"messages": "odd"}
