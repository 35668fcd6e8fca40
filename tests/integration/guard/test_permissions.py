"""Tool calls on a real goose: asked of policy, held for a human, executed once, never allowed for good."""

import asyncio
import json

import pytest

from tests.integration.guard.conftest import Guard, eventually
from tests.integration.guard.controller_stub import Json, says, tool, tool_result, wants

pytestmark = [pytest.mark.goose, pytest.mark.asyncio(loop_scope="module")]

CALL = ("call_0", "gw__mail_send", {"to": "bob", "amount": 3})


def _offer(guard: Guard, decide: Json) -> None:
    guard.controller.bundle = {"tools": [tool("mail_send")]}
    guard.controller.decide = lambda request: decide


def _last_tool_message(guard: Guard) -> str:
    messages = guard.controller.model_requests[-1][1]["messages"]
    assert isinstance(messages, list)
    return str(next(m["content"] for m in reversed(messages) if m["role"] == "tool"))


async def test_a_denied_call_never_runs_and_the_model_learns_why(guard: Guard) -> None:
    _offer(guard, {"effect": "Deny", "reason": "DeniedByRule", "message": "no mail on Sundays"})
    guard.controller.models = [wants(CALL), says("I may not send it.")]
    guard.controller.submit("send it")

    end, outcome = await guard.controller.outcome()

    assert (end, outcome["reason"], outcome["result"]) == ("complete", "PolicyDenied", "I may not send it.")
    assert guard.controller.calls == []
    assert "no mail on Sundays" in _last_tool_message(guard)


async def test_a_call_waits_for_its_approval_and_then_runs_once(guard: Guard) -> None:
    c = guard.controller
    _offer(guard, {"effect": "RequireApproval", "approvalId": "a1"})
    c.models = [wants(CALL), says("sent")]
    c.submit("send it")
    await eventually(lambda: "a1" in c.approvals)
    assert c.calls == []

    c.approvals["a1"].set_result("Approved")

    end, outcome = await c.outcome()
    assert (end, outcome["reason"], len(c.calls)) == ("complete", "", 1)
    steps = (b"tool.decide", b"approval.wait", b"tool.call")
    await eventually(lambda: all(any(step in sent for sent in c.spans) for step in steps))


async def test_waiting_for_a_human_does_not_use_up_the_turns_time(guard: Guard) -> None:
    c = guard.controller
    _offer(guard, {"effect": "RequireApproval", "approvalId": "a1"})
    c.bundle["turnTimeoutSeconds"] = 5
    c.models = [wants(CALL), says("sent")]
    c.submit("send it")
    await eventually(lambda: "a1" in c.approvals)
    await asyncio.sleep(7)

    c.approvals["a1"].set_result("Approved")

    end, outcome = await c.outcome()
    assert (end, outcome["result"]) == ("complete", "sent")


@pytest.mark.parametrize("state", ["Denied", "Expired"])
async def test_a_call_that_nobody_approves_does_not_run(guard: Guard, state: str) -> None:
    c = guard.controller
    _offer(guard, {"effect": "RequireApproval", "approvalId": "a1"})
    c.models = [wants(CALL), says("nobody approved")]
    c.submit("send it")
    await eventually(lambda: "a1" in c.approvals)

    c.approvals["a1"].set_result(state)

    end, outcome = await c.outcome()
    assert (end, outcome["reason"], c.calls) == ("complete", "PolicyDenied", [])


async def test_the_gateway_may_still_ask_for_an_approval_when_the_call_is_made(guard: Guard) -> None:
    c = guard.controller
    _offer(guard, {"effect": "Allow"})
    answers = [tool_result("", "RequireApproval", approvalId="late"), tool_result("sent at last")]

    async def call(request: Json) -> Json:
        return answers.pop(0)

    c.call = call
    c.models = [wants(CALL), says("sent")]
    c.submit("send it")
    await eventually(lambda: "late" in c.approvals)
    await asyncio.sleep(1.5)  # longer than the gateway answers in one piece: the wait is a stream by now
    c.approvals["late"].set_result("Approved")

    end, _outcome = await c.outcome()

    assert (end, len(c.calls)) == ("complete", 2)
    assert _last_tool_message(guard) == "sent at last"


async def test_parallel_calls_are_each_asked_and_each_run(guard: Guard) -> None:
    c = guard.controller
    _offer(guard, {"effect": "Allow"})
    c.models = [wants(CALL, ("call_1", "gw__mail_send", {"to": "eve"})), says("both")]
    c.submit("send both")

    await c.outcome()

    assert sorted(str(call["toolCallId"]) for call in c.calls) == ["call_0", "call_1"]
    assert len(c.decisions) == 2


async def test_repeated_ids_of_the_provider_are_made_unique(guard: Guard) -> None:
    c = guard.controller
    _offer(guard, {"effect": "Allow"})
    c.models = [wants(CALL), wants(CALL), says("twice")]
    c.submit("send it twice")

    await c.outcome()

    ids = [call["toolCallId"] for call in c.calls]
    assert len(ids) == len(set(ids)) == 2


async def test_results_are_restored_for_the_agent_only_within_its_clearance(guard: Guard) -> None:
    c = guard.controller
    person, iban = c.token("PERSON", "Hanna Keller"), c.token("IBAN_CODE", "DE89370400440532013000")
    c.hidden.add(iban)
    _offer(guard, {"effect": "Allow"})

    async def call(request: Json) -> Json:
        return tool_result(f"{person} has {iban}")

    c.call = call
    c.models = [wants(CALL), says("done")]
    c.submit("look it up")

    await c.outcome()

    assert _last_tool_message(guard) == f"{person} has {iban}"
    assert "Keller" not in json.dumps([body for _headers, body in c.model_requests])


async def test_a_huge_result_is_cut_below_the_size_that_goose_hides(guard: Guard) -> None:
    c = guard.controller
    _offer(guard, {"effect": "Allow"})

    async def call(request: Json) -> Json:
        return tool_result("word " * 60_000)

    c.call = call
    c.models = [wants(CALL), says("done")]
    c.submit("look it up")

    await c.outcome()

    text = _last_tool_message(guard)
    assert text.startswith("word word") and text.endswith("was cut here]")


async def test_the_model_is_offered_the_bundles_tools_and_no_other(guard: Guard) -> None:
    _offer(guard, {"effect": "Allow"})
    guard.controller.models = [says("ok")]
    guard.controller.submit("hello")

    await guard.controller.outcome()

    tools = guard.controller.model_requests[0][1]["tools"]
    assert isinstance(tools, list)
    assert [each["function"]["name"] for each in tools] == ["gw__mail_send"]


async def test_a_cancel_during_a_pending_permission_ends_the_turn_without_the_call(guard: Guard) -> None:
    c = guard.controller
    _offer(guard, {"effect": "RequireApproval", "approvalId": "a1"})
    c.models = [wants(CALL), says("never")]
    c.submit("send it")
    await eventually(lambda: "a1" in c.approvals)

    c.cancelled.add("task-1")

    end, outcome = await c.outcome(60)
    assert (end, outcome["reason"], c.calls) == ("fail", "Cancelled", [])
    c.models = [says("alive")]
    c.submit("next", task="task-2")
    assert (await c.outcome())[1]["result"] == "alive"
    restarts = [event["result"] for event in c.events if event["action"] == "agent.restart"]
    assert "Crashed" not in restarts, "a cancelled turn leaves the agent as it is"


async def test_a_cancel_during_a_tool_call_aborts_it(guard: Guard) -> None:
    c = guard.controller
    _offer(guard, {"effect": "Allow"})
    aborted = asyncio.Event()

    async def call(request: Json) -> Json:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            aborted.set()
            raise
        return tool_result("never")

    c.call = call
    c.models = [wants(CALL), says("never")]
    c.submit("send it")
    await eventually(lambda: c.calls)

    c.cancelled.add("task-1")

    end, outcome = await c.outcome(60)
    assert (end, outcome["reason"]) == ("fail", "Cancelled")
    await asyncio.wait_for(aborted.wait(), 60)
