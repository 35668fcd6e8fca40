"""Turns on a real goose: what counts as success, what leaves, what comes back."""

import asyncio
import json

import pytest

from tests.integration.guard.conftest import Guard, eventually
from tests.integration.guard.controller_stub import (
    chunk,
    refuses,
    says,
    streams,
    text_events,
    tool,
    wants,
)

pytestmark = [pytest.mark.goose, pytest.mark.asyncio(loop_scope="module")]

NAME, MAIL, IBAN = "Hanna Keller", "hanna.keller@acme.example", "DE89370400440532013000"


async def test_values_are_restored_for_the_agent_and_masked_for_the_model(guard: Guard) -> None:
    c = guard.controller
    person, mail, iban = (
        c.token("PERSON", NAME),
        c.token("EMAIL_ADDRESS", MAIL),
        c.token("IBAN_CODE", IBAN),
    )
    c.hidden.add(iban)
    c.bundle = {"tools": [tool("mail_send")]}
    c.models = [wants(("call_0", "gw__mail_send", {"to": mail, "memo": iban})), says(f"Sent to {person}.")]
    c.submit(f"Write to {person} at {mail} about {iban}")

    end, outcome = await c.outcome()

    assert (end, outcome["result"], outcome["reason"]) == ("complete", f"Sent to {person}.", "")
    sent = json.dumps([body for _headers, body in c.model_requests])
    assert person in sent and mail in sent and iban in sent
    assert not any(value in sent for value in (NAME, MAIL, IBAN, "Keller"))
    assert c.calls[0]["arguments"] == {"to": mail, "memo": iban}
    assert c.decisions[0] == c.calls[0]
    headers = c.model_requests[0][0]
    assert (headers["Cadre-Task"], headers["Cadre-Fence"]) == ("task-1", "7")
    assert headers["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    await eventually(lambda: c.spans and c.events)


async def test_a_restored_value_keeps_its_token_when_the_tool_echoes_it(guard: Guard) -> None:
    c = guard.controller
    person = c.token("PERSON", "Zyx Qwv")  # a name no model finds: only the session's pairs know it
    c.bundle = {"tools": [tool("mail_send")]}
    c.models = [wants(("call_0", "gw__mail_send", {"to": person})), says("ok")]
    c.submit(f"Ask {person}")

    await c.outcome()

    assert "Zyx" not in json.dumps([body for _headers, body in c.model_requests])


async def test_a_prompt_that_looks_like_a_command_of_goose_reaches_the_model(guard: Guard) -> None:
    guard.controller.models = [says("understood")]
    guard.controller.submit("/clear everything")

    end, outcome = await guard.controller.outcome()

    assert (end, outcome["result"]) == ("complete", "understood")
    assert "/clear everything" in json.dumps(guard.controller.model_requests[0][1])


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (text_events("half an answer")[:2], "ModelStreamCut"),
        ([b'data: {"error": {"message": "x", "type": "ModelGarbage"}}\n\n'], "ModelGarbage"),
        ([b"data: {this is not json\n\n"], "ModelGarbage"),
        ([], "ModelStreamCut"),
        ([chunk({}, "stop"), b"data: [DONE]\n\n"], "EmptyAnswer"),
        ([chunk({"content": "no"}), chunk({}, "content_filter"), b"data: [DONE]\n\n"], "ContentFiltered"),
    ],
)
async def test_a_broken_answer_fails_the_attempt_whatever_goose_reports(
    guard: Guard, events: list[bytes], reason: str
) -> None:
    guard.controller.models = [streams(events)]
    guard.controller.submit("hello")

    end, outcome = await guard.controller.outcome()

    assert (end, outcome["reason"]) == ("fail", reason)
    assert len(guard.controller.model_requests) == 1
    assert outcome["retryable"] is (reason != "ContentFiltered")


async def test_a_credential_that_is_missing_ends_the_attempt_with_what_to_do(guard: Guard) -> None:
    told = "the credential of provider acme/openai is not set: put apiKey into the Secret openai"
    frame = {"error": {"message": told, "type": "upstream_error"}, "reason": "CredentialMissing"}
    guard.controller.models = [streams([b"data: " + json.dumps(frame).encode() + b"\n\n"])]
    guard.controller.submit("hello")

    end, outcome = await guard.controller.outcome()

    assert (end, outcome["reason"], outcome["retryable"]) == ("fail", "CredentialMissing", True)
    assert outcome["message"] == told


async def test_a_refusal_of_policy_is_asked_once_and_is_final(guard: Guard) -> None:
    guard.controller.models = [refuses(403, "EgressBlocked")]
    guard.controller.submit("hello")

    end, outcome = await guard.controller.outcome()

    assert (end, outcome["reason"], outcome["retryable"]) == ("fail", "EgressBlocked", False)
    assert len(guard.controller.model_requests) == 1


async def test_a_busy_provider_is_asked_again_as_the_same_call(guard: Guard) -> None:
    guard.controller.models = [refuses(503, "ModelUnavailable"), refuses(429, "Busy"), says("at last")]
    guard.controller.submit("hello")

    end, outcome = await guard.controller.outcome()

    assert (end, outcome["result"]) == ("complete", "at last")
    assert len({headers["Cadre-Call-Id"] for headers, _body in guard.controller.model_requests}) == 1


async def test_an_answer_that_had_not_begun_is_asked_for_again_after_a_restart(guard: Guard) -> None:
    c = guard.controller
    c.models = [says("never", after=asyncio.Event()), says("after the restart")]
    c.submit("hello")
    await eventually(lambda: c.model_requests)

    await c.stop()
    await asyncio.sleep(1)
    await c.start()

    assert (await c.outcome())[1]["result"] == "after the restart"
    assert len({headers["Cadre-Call-Id"] for headers, _body in c.model_requests}) == 1


async def test_an_answer_that_had_begun_is_not_asked_for_again(guard: Guard) -> None:
    c = guard.controller
    c.models = [streams(text_events("x" * 4000), pause=0.05), says("second attempt")]
    c.submit("hello")
    await eventually(lambda: c.model_requests)
    await asyncio.sleep(0.5)

    await c.stop()
    await c.start()

    end, outcome = await c.outcome()
    assert (end, outcome["reason"], outcome["retryable"]) == ("fail", "ModelStreamCut", True)
    assert len(c.model_requests) == 1


async def test_a_call_waits_for_a_controller_that_is_not_there(guard: Guard) -> None:
    c = guard.controller
    gate = asyncio.Event()
    calls = 0

    async def later(request: object, body: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            gate.set()
            await asyncio.sleep(60)
        return await says("here again")(request, body)  # type: ignore[arg-type]

    c.models = [later]  # type: ignore[list-item]
    c.submit("hello")
    await asyncio.wait_for(gate.wait(), 120)
    await c.stop()
    await asyncio.sleep(3)
    await c.start()

    end, outcome = await c.outcome()

    assert (end, outcome["result"]) == ("complete", "here again")


async def test_blocked_text_never_leaves(guard: Guard) -> None:
    guard.controller.bundle = {"guard": {"mode": "Mask", "entityActions": {"IBAN_CODE": "Block"}}}
    guard.controller.models = [says("never")]
    guard.controller.submit(f"Pay {IBAN}")

    end, outcome = await guard.controller.outcome()

    assert (end, outcome["reason"], outcome["retryable"]) == ("fail", "EntityBlocked", False)
    assert guard.controller.model_requests == []


async def test_nothing_leaves_when_no_token_can_be_issued(guard: Guard) -> None:
    c = guard.controller
    c.models = [says("never")]
    c.token = lambda entity_type, value: ""  # type: ignore[method-assign]
    c.submit(f"Write to {MAIL}")

    end, _outcome = await c.outcome()

    assert end == "fail"
    assert MAIL not in json.dumps(c.model_requests)


async def test_a_lost_lease_ends_the_turn_in_silence(guard: Guard) -> None:
    c = guard.controller
    gate = asyncio.Event()
    c.models = [says("too late", after=gate)]
    c.submit("hello")
    await eventually(lambda: c.model_requests)

    c.lost.add("task-1")
    c.models = [says("second")]
    c.submit("next", task="task-2")

    end, outcome = await c.outcome()
    assert (end, outcome["result"]) == ("complete", "second")
    gate.set()


async def test_a_heartbeat_answer_cancels_a_streaming_turn(guard: Guard) -> None:
    c = guard.controller
    c.models = [streams(text_events("x" * 4000), pause=0.01)]
    c.submit("hello")
    await eventually(lambda: c.model_requests)

    c.cancelled.add("task-1")

    end, outcome = await c.outcome(60)
    assert (end, outcome["reason"]) == ("fail", "Cancelled")
    c.models = [says("still fine")]
    c.submit("next", task="task-2")
    assert (await c.outcome())[1]["result"] == "still fine"
    assert len(guard.goose_pids()) == 1
