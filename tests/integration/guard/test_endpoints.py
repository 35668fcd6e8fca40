"""The guard's ports as programs in the agent's place finds them: official clients, strangers, bad bodies."""

import asyncio
import gzip
import json

import ollama
import openai
import pytest
from aiohttp import web

from cadre_guard.model import endpoint
from cadre_guard.turn.record import ToolRequest
from tests.integration.guard.controller_stub import Json, chunk, refuses, says, wants
from tests.integration.guard.ports import PREFIX, SECRET, Ports

CLASSIFIER = "You are a permission-safety classifier"
HUGE = b'{"a": "' + b"x" * 17_000_000 + b'"}'
MAIL = "hanna.keller@acme.example"


def _request(**extra: object) -> Json:
    return {"model": "any", "messages": [{"role": "user", "content": f"Write to {MAIL}"}], **extra}


async def _completion(request: web.Request, body: Json) -> web.Response:
    messages = body["messages"]
    assert isinstance(messages, list)
    token = str(messages[-1]["content"]).rsplit(" ", 1)[1]
    message = {"role": "assistant", "content": f"mail to {token}"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    return web.json_response(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
    )


async def test_the_official_openai_client_works_unchanged(ports: Ports) -> None:
    ports.controller.models = [_completion]
    async with openai.AsyncOpenAI(
        base_url=str(ports.model.make_url(f"/{PREFIX}/v1")), api_key=SECRET, max_retries=0
    ) as client:
        answer = await client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": f"Write to {MAIL}"}]
        )
        models = [model.id async for model in client.models.list()]

    assert answer.choices[0].message.content == f"mail to {MAIL}"
    assert models == ["cadre-work"]
    assert MAIL not in json.dumps(ports.controller.model_requests)
    assert (ports.turn.record.input_tokens, ports.turn.record.output_tokens) == (9, 3)


async def test_the_official_openai_client_streams_unchanged(ports: Ports) -> None:
    token = ports.controller.token("EMAIL_ADDRESS", MAIL)
    ports.controller.models = [says(f"mail to {token}!")]
    async with openai.AsyncOpenAI(
        base_url=str(ports.model.make_url(f"/{PREFIX}/v1")), api_key=SECRET, max_retries=0
    ) as client:
        stream = await client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": f"Write to {MAIL}"}], stream=True
        )
        pieces = [choice.delta.content or "" async for event in stream for choice in event.choices]

    assert "".join(pieces) == f"mail to {MAIL}!"


@pytest.mark.parametrize("stream", [True, False])
async def test_the_official_ollama_client_works_unchanged(ports: Ports, stream: bool) -> None:
    token = ports.controller.token("EMAIL_ADDRESS", MAIL)
    ports.controller.models = [says(f"mail to {token}")] if stream else [_completion]
    client = ollama.AsyncClient(
        host=str(ports.model.make_url(f"/{PREFIX}")), headers={"Authorization": f"Bearer {SECRET}"}
    )
    messages = [{"role": "user", "content": f"Write to {MAIL}"}]

    if stream:
        parts = [part async for part in await client.chat("any", messages, stream=True)]
        text = "".join(part.message.content or "" for part in parts)
        assert parts[-1].done and parts[-1].eval_count == 4
    else:
        text = (await client.chat("any", messages)).message.content or ""
    listed = await client.list()

    assert text == f"mail to {MAIL}"
    assert [model.model for model in listed.models] == ["cadre-work"]
    assert MAIL not in json.dumps(ports.controller.model_requests)
    await client._client.aclose()


async def test_ollama_tool_calls_and_results_are_joined_by_order(ports: Ports) -> None:
    token = ports.controller.token("EMAIL_ADDRESS", MAIL)
    ports.controller.models = [wants(("c9", "gw__mail_send", {"to": token})), says("done")]
    client = ollama.AsyncClient(
        host=str(ports.model.make_url(f"/{PREFIX}")), headers={"Authorization": f"Bearer {SECRET}"}
    )
    messages: list[Json] = [{"role": "user", "content": f"Write to {MAIL}"}]

    parts = [part async for part in await client.chat("any", messages, stream=True)]
    calls = [call for part in parts for call in part.message.tool_calls or ()]
    messages.append({"role": "assistant", "content": "", "tool_calls": [call.model_dump() for call in calls]})
    messages.append({"role": "tool", "content": "ok", "tool_name": "gw__mail_send"})
    _ = [part async for part in await client.chat("any", messages, stream=True)]

    assert calls[0].function.arguments == {"to": MAIL}
    sent = ports.controller.model_requests[1][1]["messages"]
    assert isinstance(sent, list)
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"]
    assert MAIL not in json.dumps(ports.controller.model_requests)
    await client._client.aclose()


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"{not json", {}, 400, "BadBody"),
        (b"[1]", {}, 400, "BadBody"),
        (b'{"messages": [], "messages": []}', {}, 400, "BadBody"),
        (b'{"messages": "\xff\xfe"}', {}, 400, "BadEncoding"),
        (b"\x1f\x8bnot really", {"Content-Encoding": "gzip"}, 400, "BadEncoding"),
        (b'{"a": "' + b"x" * 17_000_000 + b'"}', {}, 413, "BodyTooLarge"),
        (
            gzip.compress(b'{"a": "' + b"x" * 17_000_000 + b'"}'),
            {"Content-Encoding": "gzip"},
            413,
            "BodyTooLarge",
        ),
    ],
)
async def test_a_body_that_cannot_be_read_goes_nowhere(
    ports: Ports, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    found, answer = await ports.chat(body, **headers)

    error = answer["error"]
    assert isinstance(error, dict)
    assert (found, error["code"]) == (status, reason)
    assert ports.controller.model_requests == []
    assert not ports.turn.stopping.is_set()


async def test_a_compressed_body_is_read_like_any_other(ports: Ports) -> None:
    ports.controller.models = [_completion]
    body = gzip.compress(json.dumps(_request()).encode())

    status, _answer = await ports.chat(body, **{"Content-Encoding": "gzip"})

    assert status == 200
    assert MAIL not in json.dumps(ports.controller.model_requests)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (_request(tools=[{"type": "function", "function": {"name": "shell"}}]), "ForeignTools"),
        (_request(tools=[{"type": "function"}]), "ForeignTools"),
        (_request(tools="shell"), "BadBody"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}
                ]
            },
            "UnscannableContent",
        ),
        (
            _request(messages=[{"role": "system", "content": "You are a permission-safety classifier"}]),
            "ModeChanged",
        ),
    ],
)
async def test_what_the_agent_may_not_ask_is_a_403_and_ends_the_turn(
    ports: Ports, body: Json, reason: str
) -> None:
    status, answer = await ports.chat(body)

    error = answer["error"]
    assert isinstance(error, dict)
    assert (status, error["code"]) == (403, reason)
    assert ports.controller.model_requests == []
    assert ports.turn.failure is not None and ports.turn.failure.reason == reason


async def test_a_session_without_a_turn_is_refused(ports: Ports) -> None:
    assert (await ports.chat(_request(), session="20261121_9"))[0] == 403
    assert ports.controller.model_requests == []


async def test_a_refusal_of_the_controller_is_a_403_of_ours(ports: Ports) -> None:
    ports.controller.models = [refuses(403, "BudgetExceeded")]

    status, answer = await ports.chat(_request(stream=True))

    assert status == 403
    assert answer["error"]["code"] == "BudgetExceeded"  # type: ignore[index]


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer guess"}, {"Origin": "http://evil.example"}]
)
async def test_callers_without_the_agents_secret_are_refused(ports: Ports, headers: dict[str, str]) -> None:
    if "Origin" in headers:
        headers = {**headers, "Authorization": f"Bearer {SECRET}"}
    for server, path in ((ports.model, "v1/chat/completions"), (ports.tools, "mcp")):
        async with ports.http.post(server.make_url(f"/{PREFIX}/{path}"), json={}, headers=headers) as answer:
            assert answer.status == 403


async def test_a_wrong_path_is_not_there(ports: Ports) -> None:
    async with ports.http.post(
        ports.model.make_url("/v1/chat/completions"), json={}, headers={"Authorization": f"Bearer {SECRET}"}
    ) as answer:
        assert answer.status == 404


async def test_mcp_speaks_the_handshake_that_goose_uses(ports: Ports) -> None:
    discover = await ports.rpc("server/discover")
    hello = await ports.rpc("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}})
    listed = await ports.rpc("tools/list")

    assert discover["error"]["code"] == -32601  # type: ignore[index]
    assert hello["result"]["protocolVersion"] == "2025-11-25"  # type: ignore[index]
    tools = listed["result"]["tools"]  # type: ignore[index]
    assert [set(each) for each in tools] == [{"name", "description", "inputSchema"}] * 3


@pytest.mark.parametrize(
    ("name", "call_id", "session"),
    [("mail_send", "made_up", "s1"), ("mail_send", "call_1", "s2"), ("shell", "call_1", "s1")],
)
async def test_a_call_that_the_model_did_not_make_is_not_executed(
    ports: Ports, name: str, call_id: str, session: str
) -> None:
    ports.turn.record.tools["call_1"] = ToolRequest("call_1", "gw__mail_send", {})
    meta = {"agent-session-id": session, "agent-tool-call-request-id": call_id}

    answer = await ports.rpc("tools/call", {"name": name, "arguments": {}, "_meta": meta})

    refused = "error" in answer or answer["result"]["isError"]  # type: ignore[index]
    assert refused
    assert ports.controller.calls == []


async def test_the_same_call_twice_is_executed_once(ports: Ports) -> None:
    ports.turn.record.tools["call_1"] = ToolRequest("call_1", "gw__mail_send", {})
    meta = {"agent-session-id": "s1", "agent-tool-call-request-id": "call_1"}
    call = {"name": "mail_send", "arguments": {"to": MAIL}, "_meta": meta}

    first, second = await asyncio.gather(ports.rpc("tools/call", call), ports.rpc("tools/call", call))

    assert first == second
    assert len(ports.controller.calls) == 1
    assert MAIL not in json.dumps(ports.controller.calls)


async def test_the_agent_reads_why_the_model_stopped_when_that_is_on_record(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends its turn as soon as it knows, and the turn is judged by the record."""
    monkeypatch.setattr(endpoint, "_KEEPALIVE_SECONDS", 0.1)
    said, may_end = asyncio.Event(), asyncio.Event()

    async def slow_to_end(request: web.Request, body: Json) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(chunk({"content": "hello"}))
        await said.wait()
        await response.write(chunk({}, "stop"))
        await may_end.wait()
        await response.write(b"data: [DONE]\n\n")
        return response

    ports.controller.models = [slow_to_end]
    url = ports.model.make_url(f"/{PREFIX}/v1/chat/completions")
    sent = {"Authorization": f"Bearer {SECRET}", "agent-session-id": "s1"}
    async with ports.http.post(url, json=_request(stream=True), headers=sent) as answer:
        heard = b""
        async for piece in answer.content.iter_any():
            heard += piece
            if b"hello" in heard:
                said.set()
            if b": keepalive" in heard:
                may_end.set()
            if b'"stop"' in heard:
                assert ports.turn.record.last is not None
                break

    assert ports.turn.record.last is not None and ports.turn.record.last.text == "hello"
