"""Model calls that go well, and those that policy, budget or the second scan stop before anything leaves."""

import asyncio
import json

import openai
import pytest

from tests.integration.controller.stand import SAL, Held, Stand, local
from tests.integration.controller.test_model_faults import last_error
from tests.integration.controller.test_ports import assert_problem
from tests.support.scripted import Scripted


async def usage(stand: Stand, held: Held) -> dict[str, object]:
    view = await (await stand.person()).get(f"/api/v1/tasks/{held.task}")
    found = view["usage"]
    assert isinstance(found, dict)
    return found


def client(held: Held, call_id: str) -> openai.AsyncOpenAI:
    """The official client, unchanged, against the guard port."""
    return openai.AsyncOpenAI(
        base_url=f"{held.guard.base}/guard/v1/model",
        api_key=held.guard.token,
        default_headers=held.model_headers(call_id),
        max_retries=0,
    )


async def test_the_official_client_gets_a_whole_answer_and_a_stream(stand: Stand) -> None:
    held = await stand.held()
    messages = [{"role": "user", "content": "six"}]
    async with client(held, "a") as api:
        whole = await api.chat.completions.create(model="x", messages=messages)  # type: ignore[call-overload]
        assert whole.choices[0].message.content == "The answer is six"
    async with client(held, "b") as api:
        stream = await api.chat.completions.create(model="x", messages=messages, stream=True)  # type: ignore[call-overload]
        parts = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in parts if c.choices) == "The answer is six"
    assert parts[-1].usage.total_tokens == 150


async def test_a_call_is_billed_each_time_it_is_sent_with_tokens_price_and_story(stand: Stand) -> None:
    held = await stand.held()
    for _ in range(2):
        assert (await held.chat("hello", "same")).status == 200
    assert await usage(stand, held) | {"currency": "USD"} == {
        "inputTokens": 200,
        "outputTokens": 100,
        "modelCalls": 2,
        "cost": "0.004",
        "currency": "USD",
    }
    events = (await (await stand.person()).get(f"/api/v1/tasks/{held.task}/events"))["items"]
    called = [event for event in events if event["kind"] == "ModelCalled"]  # type: ignore[attr-defined]
    assert called[0]["data"]["model"] == "scripted" and called[0]["data"]["cost"] == "0.002"
    assert called[0]["durationMs"] > 0


async def test_the_provider_gets_the_masked_body_with_its_own_model(stand: Stand, model: Scripted) -> None:
    held = await stand.held("Pay Bruno Keller, DE89370400440532013000.")
    await held.chat(str(held.lease["prompt"]), temperature=0.25, stream=True)
    raw = model.raw()
    assert b"IBANx1" in raw and b"PERSONx1" in raw and b"Keller" not in raw and b"DE8937" not in raw
    body = json.loads(str(model.requests()[-1]["raw"]))
    assert body["model"] == "scripted" and body["temperature"] == 0.25
    assert body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    "leak",
    [
        "write to jane.roe@other.example",
        "pay DE89370400440532013000",
        "key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH",
        "ask Bruno Keller",
    ],
)
async def test_what_the_guard_missed_does_not_leave(stand: Stand, model: Scripted, leak: str) -> None:
    held = await stand.held()
    positions: list[dict[str, object]] = [
        {"messages": [{"role": "user", "content": leak}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": leak}]}]},
        {"tools": [{"type": "function", "function": {"name": "f", "description": leak}}]},
        {"metadata": {leak: "x"}},
    ]
    for number, position in enumerate(positions):
        for stream in (False, True):
            reply = await held.chat("hello", f"c{number}{stream}", stream=stream, **position)
            assert_problem(reply, 403, "EgressBlocked")
    assert model.requests() == []
    assert (await usage(stand, held))["modelCalls"] == 0


async def test_a_local_model_may_get_what_must_not_leave(stand: Stand, model: Scripted) -> None:
    object.__setattr__(stand.runtime.models, "_is_local", local(model.url).includes)
    held = await stand.held()
    assert (await held.chat("write to jane.roe@other.example")).status == 200


async def test_a_token_of_another_type_counts_for_policy(stand: Stand) -> None:
    held = await stand.held()
    rule = """
apiVersion: cadre.dev/v1alpha1
kind: Policy
metadata: {name: money-stays, namespace: co}
spec:
  targets: [{nodeRef: {name: co}, scope: Subtree}]
  rules:
    - name: r
      effect: Deny
      actions: [UseModel]
      resources: [{locality: Cloud}]
      when: '"FINANCIAL" in data.classes'
---
"""
    admin = await stand.person()
    document = {"file": "c.yaml", "text": stand.chart_text() + "\n---" + rule}
    assert (await admin.post("/api/v1/apply", {"documents": [document]})).status == 200
    assert (await held.chat("hello", "a")).status == 200
    reply = await held.chat("IBANx1t23nftmse5at5hbz", "b")
    assert_problem(reply, 403, "DeniedByRule")
    assert "co/main:scripted" in str(reply["detail"])


async def test_a_missing_credential_says_where_to_put_it_and_then_works(
    stand: Stand, model: Scripted
) -> None:
    held = await stand.held(agent=SAL)
    refused = await held.chat("hello", "a")
    assert_problem(refused, 503, "CredentialMissing")
    streamed = last_error((await held.chat("hello", "s", stream=True)).text)
    assert streamed["reason"] == "CredentialMissing"
    for told in (refused["fix"], refused["detail"], streamed["error"]):
        assert "secret/keyed/apiKey" in str(told)
    assert model.requests() == []
    stand.runtime.services.keystore.put_secret("secret/keyed/apiKey", "sk-live-1")
    assert (await held.chat("hello", "b")).status == 200
    assert "authorization" in json.dumps(model.requests()[-1]["headers"]).lower()


async def test_a_spent_budget_stops_calls_and_never_overspends(stand: Stand) -> None:
    assert (await stand.apply(budget="0.10")).status == 200
    held = await stand.held()
    replies = await asyncio.gather(*(held.chat("hello", f"c{n}", max_tokens=1000) for n in range(12)))
    refused = [reply for reply in replies if reply.status != 200]
    assert refused and any(reply.status == 200 for reply in replies)
    for reply in refused:
        assert_problem(reply, 403, "BudgetExceeded")
    assert float(str((await usage(stand, held))["cost"])) <= 0.10


async def test_a_budget_that_goes_local_takes_the_local_model(stand: Stand, model: Scripted) -> None:
    object.__setattr__(stand.runtime.models, "_is_local", lambda host, port: False)
    assert (await stand.apply(budget="0.0001", onExceeded="LocalOnly")).status == 200
    held = await stand.held()
    assert_problem(await held.chat("hello", "a"), 403, "BudgetExceeded")
    object.__setattr__(stand.runtime.models, "_is_local", lambda host, port: True)
    assert (await held.chat("hello", "b")).status == 200


@pytest.mark.parametrize("missing", ["Cadre-Task", "Cadre-Session", "Cadre-Fence", "Cadre-Call-Id"])
async def test_each_header_is_needed(stand: Stand, missing: str) -> None:
    held = await stand.held()
    headers = {k.replace("-", "_"): v for k, v in held.model_headers().items() if k != missing}
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    reply = await held.guard.post("/guard/v1/model/chat/completions", body, **headers)
    assert_problem(reply, 400, "BadRequest")
    assert missing in str(reply["detail"])


async def test_a_foreign_session_or_fence_is_refused(stand: Stand) -> None:
    held = await stand.held()
    for change, reason in (({"sessionId": "ses_x"}, "WrongSession"), ({"fence": 99}, "LeaseLost")):
        wrong = Held(held.guard, {**held.lease, **change})
        reply = await wrong.chat("hello")
        assert reply["reason"] == reason, reply.text


async def test_the_alias_is_listed(stand: Stand) -> None:
    listed = await (await stand.agent()).get("/guard/v1/models")
    assert listed["data"][0]["id"] == "cadre-work"  # type: ignore[index]
