"""Providers that misbehave: retried while nothing went out, told plainly once something did, billed for
what was used.
"""

import asyncio
import json
import time

import pytest

from tests.integration.controller.stand import Held, Stand, until
from tests.integration.controller.test_ports import assert_problem
from tests.support.ports import free_port
from tests.support.scripted import Scripted


def last_error(text: str) -> dict[str, object]:
    """The error event that ends a failed stream."""
    events = [line for line in text.splitlines() if line.startswith("data: ")]
    found: dict[str, object] = json.loads(events[-1].removeprefix("data: "))
    return found


async def on_main_only(stand: Stand) -> Held:
    """A held task whose second provider cannot be reached."""
    assert (await stand.apply(spare=f"http://127.0.0.1:{free_port()}", timeout="1s")).status == 200
    return await stand.held()


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("please-cut", "ModelStreamCut"),
        ("please-hang", "ModelTimeout"),
    ],
)
async def test_a_stream_that_breaks_after_its_start_ends_with_an_error_event(
    stand: Stand, prompt: str, reason: str
) -> None:
    held = await on_main_only(stand)
    reply = await held.chat(prompt, stream=True)
    assert reply.status == 200
    assert '"content": "This' in reply.text
    assert last_error(reply.text)["reason"] == reason
    view = await (await stand.person()).get(f"/api/v1/tasks/{held.task}")
    assert view["usage"]["outputTokens"] > 0  # type: ignore[index]


@pytest.mark.parametrize(
    "prompt", ["please-garbage", "please-empty", "please-silent", "please-error", "please-busy"]
)
@pytest.mark.parametrize("stream", [True, False])
async def test_what_fails_before_its_start_is_tried_again_and_then_told(
    stand: Stand, model: Scripted, prompt: str, stream: bool
) -> None:
    held = await on_main_only(stand)
    reply = await held.chat(prompt, stream=stream)
    if stream:
        assert reply.status == 200 and last_error(reply.text)["reason"].startswith("Model")  # type: ignore[attr-defined]
    else:
        assert_problem(reply, 503)
        assert int(reply.headers["Retry-After"]) >= 1
    assert "sk-key" not in reply.text and "oops" not in reply.text
    assert len(model.requests()) == 3
    view = await (await stand.person()).get(f"/api/v1/tasks/{held.task}")
    assert view["usage"]["modelCalls"] == 0  # type: ignore[index]


async def test_a_provider_that_recovers_is_not_noticed(stand: Stand, model: Scripted) -> None:
    held = await stand.held()
    for stream in (True, False):
        model.reset()
        reply = await held.chat("please-once", f"c{stream}", stream=stream)
        assert reply.status == 200 and "error" not in reply.text
        assert len(model.requests()) == 2


async def test_a_dead_provider_gives_way_to_the_next(stand: Stand) -> None:
    assert (await stand.apply(main=f"http://127.0.0.1:{free_port()}")).status == 200
    held = await stand.held()
    for stream in (True, False):
        reply = await held.chat("hello", f"c{stream}", stream=stream)
        assert reply.status == 200 and "error" not in reply.text
    events = (await (await stand.person()).get(f"/api/v1/tasks/{held.task}/events"))["items"]
    called = [e for e in events if e["kind"] == "ModelCalled"]  # type: ignore[attr-defined]
    assert {e["data"]["provider"] for e in called} == {"co/spare"}


async def test_a_refused_request_is_not_repeated(stand: Stand, model: Scripted) -> None:
    held = await on_main_only(stand)
    reply = await held.chat("please-refuse", stream=True)
    assert last_error(reply.text)["reason"] in ("ModelRefused", "ModelUnavailable")
    assert len(model.requests()) == 1


async def test_the_breaker_spares_a_dead_provider(stand: Stand, model: Scripted) -> None:
    held = await on_main_only(stand)
    for number in range(3):
        await held.chat("please-busy", f"c{number}")
    before = len(model.requests())
    reply = await held.chat("hello", "after")
    assert_problem(reply, 503, "ModelUnavailable")
    assert len(model.requests()) == before
    assert "co/main" in stand.runtime.health.open(stand.runtime.clock.monotonic())


async def test_silence_is_filled_with_comments_and_headers_come_at_once(stand: Stand) -> None:
    held = await stand.held()
    url = f"{held.guard.base}/guard/v1/model/chat/completions"
    headers = {**held.model_headers(), "Authorization": f"Bearer {held.guard.token}"}
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "please-think"}]}
    async with stand.http.post(url, json=body, headers=headers) as response:
        first = await response.content.readline()
        rest = await response.text()
    assert first == b": keepalive\n"
    assert "I thought." in rest.replace('"}', "").replace("\n", "") or "thought" in rest


async def test_a_guard_that_leaves_ends_the_upstream_call_and_is_billed(stand: Stand) -> None:
    held = await stand.held()
    url = f"{held.guard.base}/guard/v1/model/chat/completions"
    headers = {**held.model_headers(), "Authorization": f"Bearer {held.guard.token}"}
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "please-hang"}]}
    response = await stand.http.post(url, json=body, headers=headers)
    await response.content.readany()
    response.close()

    async def billed() -> bool:
        view = await (await stand.person()).get(f"/api/v1/tasks/{held.task}")
        return bool(view["usage"]["modelCalls"])  # type: ignore[index]

    await until(billed)


async def test_many_streams_run_beside_each_other(stand: Stand) -> None:
    held = await stand.held()
    begun = time.monotonic()
    await held.chat("please-think", "alone", stream=True)
    one_took, begun = time.monotonic() - begun, time.monotonic()
    replies = await asyncio.gather(*(held.chat("please-think", f"c{n}", stream=True) for n in range(20)))
    assert all("data: [DONE]\n\n" in reply.text for reply in replies)
    assert time.monotonic() - begun < 20 * one_took, "what they took one after the other"
