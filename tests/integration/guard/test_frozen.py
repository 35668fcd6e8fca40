"""A frozen agent: what it asks is held, neither lost nor asked a thousand times; its time stands still."""

import asyncio
import io
import json

from aiohttp import web

from cadre_guard.controller.standstill import Standstill
from cadre_guard.turn.frozen import stop_clocks
from cadre_guard.turn.record import ToolRequest
from tests.integration.guard.conftest import eventually
from tests.integration.guard.controller_stub import Json, text_events
from tests.integration.guard.ports import PREFIX, SECRET, Ports
from tests.integration.guard.test_other_agent import replies

ASKED: Json = {"model": "any", "messages": [{"role": "user", "content": "Write."}]}


async def test_model_calls_are_held_until_the_thaw_and_made_once(ports: Ports) -> None:
    c = ports.controller
    c.models, c.frozen = [replies("at last")], True
    asked = [asyncio.create_task(ports.chat({**ASKED, "n": 1, "user": str(i)})) for i in range(6)]
    await eventually(lambda: len(c.refused) > len(asked) + 1, 60)
    # whoever is refused waits in line; only the first in it asks again
    assert not any(task.done() for task in asked) and len(c.refused) < 3 * len(asked)

    c.frozen = False

    answers = await asyncio.wait_for(asyncio.gather(*asked), 60)
    assert [(status, body["choices"][0]["message"]["content"]) for status, body in answers] == [  # type: ignore[index]
        (200, "at last")
    ] * 6
    assert len(c.model_requests) == 6


async def test_a_tool_call_is_held_until_the_thaw_and_made_once(ports: Ports) -> None:
    c = ports.controller
    ports.turn.record.tools["call_1"] = ToolRequest("call_1", "gw__mail_send", {})
    meta = {"agent-session-id": "s1", "agent-tool-call-request-id": "call_1"}
    c.frozen = True
    call = asyncio.create_task(
        ports.rpc("tools/call", {"name": "mail_send", "arguments": {"to": "x"}, "_meta": meta})
    )
    await eventually(lambda: len(c.refused) > 1, 60)
    assert not call.done() and c.calls == []

    c.frozen = False

    answer = await asyncio.wait_for(call, 60)
    assert answer["result"]["isError"] is False and len(c.calls) == 1  # type: ignore[index]


async def test_a_stream_that_is_cut_does_not_look_complete_and_the_turn_is_tried_again(ports: Ports) -> None:
    c = ports.controller

    async def cut(request: web.Request, body: Json) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(text_events("half of it")[0])
        c.frozen = True
        assert request.transport is not None
        request.transport.abort()
        return response

    c.models = [cut]
    text = await asyncio.wait_for(streamed(ports), 60)

    assert "error" in text and "[DONE]" not in text and '"stop"' not in text
    failure = ports.turn.failure
    assert failure is not None and (failure.reason, failure.retryable) == ("ModelStreamCut", True)


async def streamed(ports: Ports) -> str:
    """The text of a streamed answer."""
    url = ports.model.make_url(f"/{PREFIX}/v1/chat/completions")
    headers = {"Authorization": f"Bearer {SECRET}", "agent-session-id": "s1"}
    data = io.BytesIO(json.dumps({**ASKED, "stream": True}).encode())
    async with ports.http.post(url, data=data, headers=headers) as answer:
        return (await answer.read()).decode()


async def test_the_time_of_a_turn_stops_with_it(ports: Ports) -> None:
    standstill, turn = Standstill(), ports.turn
    before = turn.deadline
    clocks = asyncio.create_task(stop_clocks(standstill, turn))
    refused = asyncio.create_task(standstill.refused())
    await eventually(lambda: turn.deadline > before + 3600, 60)

    standstill.answered()

    await eventually(lambda: turn.deadline < before + 3600, 60)
    assert turn.deadline >= before, "the time that it stood still is not its own"
    clocks.cancel()
    await asyncio.gather(clocks, refused, return_exceptions=True)
