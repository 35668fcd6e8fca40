"""The official clients, unchanged, through the guard to servers that speak their format natively."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import ollama
import openai
import pytest
from aiohttp import web

from cadre_detect.tokens import TOKEN_RE
from cadre_scripted.answer import Answer, AnsweredCall
from cadre_scripted.conversation import Conversation
from cadre_scripted.dialects import Dialect
from cadre_scripted.dialects.anthropic import Anthropic
from cadre_scripted.dialects.completions import Completions, embeddings
from cadre_scripted.dialects.gemini import Gemini
from cadre_scripted.dialects.ollama import Ollama, OllamaGenerate
from cadre_scripted.dialects.openai import OpenAI
from cadre_scripted.dialects.responses import Responses
from cadre_scripted.scenario import Chunking
from tests.integration.guard.controller_stub import Json
from tests.integration.guard.ports import PREFIX, SECRET, Ports
from tests.support.encodings import leaks

MAIL = "hanna.keller@acme.example"
IBAN = "DE89370400440532013000"
ASK = f"Write to {MAIL} about {IBAN}"
Client = Callable[[Ports, bool], Awaitable[None]]
SCHEMA: Json = {"type": "object", "properties": {"to": {"type": "string"}}}
NATIVE = {
    "chat/completions": OpenAI(),
    "completions": Completions(),
    "responses": Responses(),
    "messages": Anthropic(),
    "ollama/chat": Ollama(),
    "ollama/generate": OllamaGenerate(),
    "gemini/generateContent": Gemini(stream=False),
    "gemini/streamGenerateContent": Gemini(stream=True),
}


async def echo(request: web.Request, body: Json) -> web.StreamResponse:
    """A model that says every token it was shown, and offers them to a tool when there is one."""
    api = request.match_info["api"]
    if api == "embeddings":
        return web.json_response(embeddings(body))
    dialect = NATIVE[api]
    asked = dialect.parse(body)
    tokens = TOKEN_RE.findall(json.dumps(body))
    text = "sent to " + " and ".join(dict.fromkeys(tokens)) + "."
    arguments = json.dumps({"to": tokens[0] if tokens else "nobody"})
    calls = (AnsweredCall("call_1", "gw__mail_send", arguments),) if asked.tools else ()
    finish = "tool_calls" if calls else "stop"
    answer = Answer("a1", "m", text, calls, finish, 5, 7, Chunking(characters=4), 0, None)
    return await _sent(request, dialect, answer, asked)


async def _sent(
    request: web.Request, dialect: Dialect, answer: Answer, asked: Conversation
) -> web.StreamResponse:
    if not asked.stream:
        return web.json_response(dialect.whole(answer, 1.0))
    response = web.StreamResponse(headers={"Content-Type": dialect.stream_type})
    await response.prepare(request)
    for frame in dialect.frames(answer, asked, 1.0):
        await response.write(frame)
    return response


def _base(ports: Ports, path: str = "") -> str:
    return str(ports.model.make_url(f"/{PREFIX}{path}"))


def _check(ports: Ports, text: str) -> None:
    """What the agent may see came back, what it may not stayed a token, and only tokens went up."""
    tokens = [match[0] for match in TOKEN_RE.finditer(text)]
    assert MAIL in text and IBAN not in text and [token[:4] for token in tokens] == ["IBAN"]
    sent = json.dumps([body for _, body in ports.controller.model_requests]).encode()
    assert leaks([MAIL, IBAN], sent) == {}
    last = ports.turn.record.last
    assert last is not None and (last.input_tokens, last.output_tokens) == (5, 7)


async def _responses(ports: Ports, stream: bool) -> None:
    ports.controller.models = [echo]
    tools: Any = [{"type": "function", "name": "gw__mail_send", "parameters": SCHEMA, "strict": False}]
    async with openai.AsyncOpenAI(base_url=_base(ports, "/v1"), api_key=SECRET, max_retries=0) as client:
        if stream:
            async with client.responses.stream(model="any", input=ASK, tools=tools) as events:
                said = [event async for event in events]
                answer: Any = await events.get_final_response()
            deltas = "".join(e.delta for e in said if e.type == "response.output_text.delta")
            assert deltas == answer.output_text
        else:
            answer = await client.responses.create(model="any", input=ASK, tools=tools)

    call = next(item for item in answer.output if item.type == "function_call")
    assert json.loads(call.arguments) == {"to": MAIL} and call.call_id in ports.turn.record.tools
    _check(ports, answer.output_text)


async def _completions(ports: Ports, stream: bool) -> None:
    ports.controller.models = [echo]
    async with openai.AsyncOpenAI(base_url=_base(ports, "/v1"), api_key=SECRET, max_retries=0) as client:
        if stream:
            options: Any = {"include_usage": True}
            events = await client.completions.create(
                model="any", prompt=ASK, stream=True, stream_options=options
            )
            text = "".join([choice.text async for event in events for choice in event.choices])
        else:
            text = (await client.completions.create(model="any", prompt=ASK)).choices[0].text

    _check(ports, text)


async def test_openai_embeddings(ports: Ports) -> None:
    ports.controller.models = [echo]
    async with openai.AsyncOpenAI(base_url=_base(ports, "/v1"), api_key=SECRET, max_retries=0) as client:
        answer = await client.embeddings.create(model="any", input=[ASK, "two"], encoding_format="float")

    assert [len(item.embedding) for item in answer.data] == [2, 2]
    assert leaks([MAIL, IBAN], json.dumps(ports.controller.model_requests[0][1]).encode()) == {}
    assert ports.turn.record.last is None, "an embedding is no answer of the turn"


async def _messages(ports: Ports, stream: bool) -> None:
    ports.controller.models = [echo]
    tools: Any = [{"name": "gw__mail_send", "description": "Sends mail", "input_schema": SCHEMA}]
    asked: Any = {"model": "any", "max_tokens": 64, "tools": tools}
    asked["messages"] = [{"role": "user", "content": ASK}]
    async with anthropic.AsyncAnthropic(base_url=_base(ports), api_key=SECRET, max_retries=0) as client:
        if stream:
            async with client.messages.stream(**asked) as events:
                message: Any = await events.get_final_message()
        else:
            message = await client.messages.create(**asked)

    text, call = message.content
    assert call.input == {"to": MAIL} and call.id in ports.turn.record.tools
    assert message.stop_reason == "tool_use"
    _check(ports, text.text)


async def _ollama_chat(ports: Ports, stream: bool) -> None:
    ports.controller.models = [echo]
    headers = {"Authorization": f"Bearer {SECRET}"}
    client = ollama.AsyncClient(host=_base(ports), headers=headers)
    tool = {"type": "function", "function": {"name": "gw__mail_send", "parameters": SCHEMA}}
    asked: Any = {"model": "any", "messages": [{"role": "user", "content": ASK}], "tools": [tool]}

    if stream:
        parts = [part async for part in await client.chat(**asked, stream=True)]
    else:
        parts = [await client.chat(**asked)]
    await client._client.aclose()

    calls = [call for part in parts for call in part.message.tool_calls or ()]
    assert [call.function.arguments for call in calls] == [{"to": MAIL}]
    assert parts[-1].done and parts[-1].eval_count == 7
    _check(ports, "".join(part.message.content or "" for part in parts))


async def _ollama_generate(ports: Ports, stream: bool) -> None:
    ports.controller.models = [echo]
    client = ollama.AsyncClient(host=_base(ports), headers={"Authorization": f"Bearer {SECRET}"})

    if stream:
        parts = [part async for part in await client.generate("any", ASK, stream=True)]
    else:
        parts = [await client.generate("any", ASK)]
    await client._client.aclose()

    assert parts[-1].done
    _check(ports, "".join(part.response for part in parts))


async def _gemini(ports: Ports, stream: bool) -> None:
    method = "streamGenerateContent" if stream else "generateContent"
    ports.controller.models = [echo]
    declared = {"name": "gw__mail_send", "parameters": SCHEMA}
    body = {
        "contents": [{"role": "user", "parts": [{"text": ASK}]}],
        "tools": [{"functionDeclarations": [declared]}],
    }
    url = _base(ports, f"/v1beta/models/any:{method}") + "?alt=sse"
    async with ports.http.post(url, json=body, headers={"x-goog-api-key": SECRET}) as answer:
        raw = await answer.text()

    assert answer.status == 200, raw
    lines = [line.removeprefix("data: ") for line in raw.splitlines() if line.startswith(("{", "data: "))]
    parts = [part for line in lines for part in json.loads(line)["candidates"][0]["content"]["parts"]]
    assert [part["functionCall"]["args"] for part in parts if "functionCall" in part] == [{"to": MAIL}]
    _check(ports, "".join(part.get("text", "") for part in parts))


@pytest.mark.parametrize("client", [_responses, _completions, _messages, _gemini])
async def test_a_client_sees_its_values_and_the_model_only_tokens(ports: Ports, client: Client) -> None:
    for stream in (True, False):
        await client(ports, stream)


@pytest.mark.parametrize("client", [_ollama_chat, _ollama_generate])
async def test_ollama_natively_and_translated(ports: Ports, client: Client) -> None:
    await client(ports, True)
    await client(ports, False)
    ports.controller.apis = ["ollama/chat", "ollama/generate"]
    await client(ports, True)


async def test_refusals_are_exceptions_of_each_client(ports: Ports) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    async with anthropic.AsyncAnthropic(base_url=_base(ports), api_key=SECRET, max_retries=0) as client:
        with pytest.raises(anthropic.PermissionDeniedError, match="UnscannableContent"):
            await client.messages.create(
                model="any",
                max_tokens=9,
                messages=[{"role": "user", "content": [picture]}],  # type: ignore[list-item]
            )
    assert ports.controller.model_requests == []
