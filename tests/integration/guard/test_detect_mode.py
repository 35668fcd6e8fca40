"""Detect counts what it finds and changes nothing: in every format a request leaves and a reply arrives to
the byte, however it is written.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from cadre_api.protocol.guard import AgentBundle
from cadre_detect import make_token
from cadre_scripted.answer import Answer
from cadre_scripted.conversation import Conversation
from cadre_scripted.dialects import Dialect as Server
from cadre_scripted.dialects.anthropic import Anthropic
from cadre_scripted.dialects.completions import Completions
from cadre_scripted.dialects.gemini import Gemini
from cadre_scripted.dialects.ollama import Ollama, OllamaGenerate
from cadre_scripted.dialects.openai import OpenAI
from cadre_scripted.dialects.responses import Responses
from cadre_scripted.scenario import Chunking
from tests.integration.guard.controller_stub import AGENT, Json, Model
from tests.integration.guard.ports import PREFIX, SECRET, Ports

MAIL, NAME = "hanna.keller@acme.example", "Hanna Keller"
LIKE_A_TOKEN = make_token(b"k", "1", "PERSON", "somebody")
TEXT = f"Write to {MAIL}, {LIKE_A_TOKEN} \\u2014 Grüße 🏠"
NATIVE = [
    "completions",
    "responses",
    "messages",
    "embeddings",
    "ollama/chat",
    "ollama/generate",
    "ollama/embed",
]
KEEPALIVE = b": keepalive\n\n"


def _spelled(document: str) -> bytes:
    """JSON as no library of ours would write it: blanks, escapes, the order of its members."""
    return document.replace("TEXT", TEXT).replace("MAIL", MAIL).encode()


CHATS = '{ "messages":[ {"content" : "TEXT",  "role":"user"}],\n "model": "any", "stream":%s, "seed": 1e0 }'
WHOLE: dict[str, tuple[bytes, Server]] = {
    "/v1/chat/completions": (_spelled(CHATS % "false"), OpenAI()),
    "/v1/completions": (_spelled('{"prompt":  "TEXT", "model": "m"}'), Completions()),
    "/v1/responses": (_spelled('{"input":  "TEXT", "model": "m"}'), Responses()),
    "/v1/messages": (_spelled(CHATS.replace("{ ", '{ "max_tokens":9 , ') % "false"), Anthropic()),
    "/api/chat": (_spelled(CHATS % "false"), Ollama()),
    "/api/generate": (_spelled('{"prompt":  "TEXT", "stream" : false, "model": "m"}'), OllamaGenerate()),
    "/v1beta/models/m:generateContent": (
        _spelled('{"contents":[{"parts":[ {"text":"TEXT"}]}]}'),
        Gemini(stream=False),
    ),
}
STREAMED: dict[str, tuple[bytes, Server]] = {
    "/v1/chat/completions": (_spelled(CHATS % "true"), OpenAI()),
    "/v1/completions": (_spelled('{"prompt":  "TEXT", "stream": true, "model": "m"}'), Completions()),
    "/v1/responses": (_spelled('{"input":  "TEXT", "stream" :true, "model": "m"}'), Responses()),
    "/v1/messages": (_spelled(CHATS.replace("{ ", '{ "max_tokens":9 , ') % "true"), Anthropic()),
    "/api/chat": (_spelled(CHATS % "true"), Ollama()),
    "/api/generate": (_spelled('{"prompt":  "TEXT", "stream" : true, "model": "m"}'), OllamaGenerate()),
    "/v1beta/models/m:streamGenerateContent?alt=sse": (
        _spelled('{"contents":[{"parts":[ {"text":"TEXT"}]}]}'),
        Gemini(stream=True),
    ),
}
VECTORS = {"/v1/embeddings": b'{"input":  ["MAIL"], "model": "m"}', "/api/embed": b'{ "input":"MAIL"}'}
ANSWER = Answer(
    "a1", "m", f"Ask {NAME} or {LIKE_A_TOKEN}, EMAIL", (), "stop", 5, 7, Chunking(characters=3), 0, None
)


@pytest.fixture
async def detecting(ports: Ports) -> Ports:
    """The guard under a policy that counts, and blocks credentials, as is the default."""
    now = datetime.now(UTC)
    guard = {"mode": "Detect", "entityActions": {"API_KEY": "Block"}, "languageModel": False}
    bundle = {"agent": AGENT, "tenant": "acme", "generation": 2, "digest": "d2", "issuedAt": now}
    bundle |= {"expiresAt": now + timedelta(hours=1), "nodePath": [], "clearance": ["PII"], "guard": guard}
    await ports.masker.use(AgentBundle.model_validate(bundle))
    ports.controller.apis = NATIVE
    # known from the prompt, which was masked before it was stored: counted here, not masked again
    ports.turn.pairs.learn(("EMAIL_ADDRESS", MAIL), ports.controller.token("EMAIL_ADDRESS", MAIL), "PII")
    return ports


def _replies(reply: bytes, kind: str, came: list[bytes]) -> Model:
    async def model(request: web.Request, body: Json) -> web.StreamResponse:
        came.append(await request.read())
        return web.Response(body=reply, content_type=kind)

    return model


async def _exchange(ports: Ports, path: str, body: bytes, reply: bytes, kind: str) -> tuple[bytes, bytes]:
    """What reached the controller, and what came back."""
    came: list[bytes] = []
    ports.controller.models = [_replies(reply, kind, came)]
    sent = {"Authorization": f"Bearer {SECRET}", "agent-session-id": "s1", "Content-Type": "application/json"}
    async with ports.http.post(ports.model.make_url(f"/{PREFIX}{path}"), data=body, headers=sent) as answer:
        assert answer.status == 200, await answer.text()
        return came[0], (await answer.read()).replace(KEEPALIVE, b"")


async def _counted(ports: Ports) -> list[object]:
    await ports.events.flush()
    return [event["redactions"] for event in ports.controller.events if event["action"] == "guard.mask"]


async def test_whole_exchanges_pass_to_the_byte(detecting: Ports) -> None:
    for path, (body, server) in WHOLE.items():
        reply = json.dumps(server.whole(ANSWER, 1.5), indent=1).encode()

        assert await _exchange(detecting, path, body, reply, "application/json") == (body, reply), path

    assert await _counted(detecting) == [{"EMAIL_ADDRESS": 1}] * len(WHOLE)


async def test_streamed_exchanges_pass_to_the_byte(detecting: Ports) -> None:
    for path, (body, server) in STREAMED.items():
        kind = "application/x-ndjson" if path.startswith("/api") else "text/event-stream"
        frames = b"".join(server.frames(ANSWER, Conversation("m", True, ()), 1.5))
        reply = frames.replace(b"data: ", b"data:").replace(b"\n", b"\r\n")

        assert await _exchange(detecting, path, body, reply, kind) == (body, reply), path

    assert await _counted(detecting) == [{"EMAIL_ADDRESS": 1}] * len(STREAMED)


async def test_what_is_made_a_vector_passes_to_the_byte(detecting: Ports) -> None:
    reply = b'{ "data":[{"embedding" : [0.50, 1e0]}], "embeddings":[[0.50]], "usage":{"prompt_tokens":2}}'
    for path, body in VECTORS.items():
        sent = body.replace(b"MAIL", MAIL.encode())

        assert await _exchange(detecting, path, sent, reply, "application/json") == (sent, reply), path


async def test_what_is_blocked_is_blocked_all_the_same(detecting: Ports) -> None:
    key = "AKIA" + "Q7RZ2XW5L9K3M8PD"
    detecting.controller.models = []

    status, told = await detecting.chat(
        {"messages": [{"role": "user", "content": f"aws_access_key_id={key}"}]}
    )

    assert (status, json.dumps(told).count(key)) == (403, 0)
    assert detecting.controller.model_requests == []
