"""The guard port as far as a guard needs it, with every answer in the test's hand.

The guard, its sandbox and goose are real; what is on the other side of the wire is scripted here, because
these tests are about what a guard does when its controller says no, goes away or talks nonsense.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
from aiohttp import web
from aiohttp.typedefs import Handler
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from cadre_detect.tokens import make_token

Json = dict[str, object]
Model = Callable[[web.Request, Json], Awaitable[web.StreamResponse]]
SESSION = "session-1"
AGENT = "acme/writer"
_KEY = b"k" * 32


def tool(name: str, **extra: object) -> Json:
    """A bundle tool."""
    schema = {"type": "object", "properties": {"to": {"type": "string"}, "amount": {"type": "number"}}}
    return {
        "name": name,
        "server": "acme/mail",
        "tool": name,
        "description": name,
        "inputSchema": schema,
        **extra,
    }


@dataclass
class Controller:
    """State and script of a controller."""

    port: int = 0
    signer: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    bundle: Json = field(default_factory=dict)
    generation: int = 1
    jws: Callable[[str], str] = lambda text: text
    models: list[Model] = field(default_factory=list)
    """Replies in order; the last one is repeated."""
    model_requests: list[tuple[dict[str, str], Json]] = field(default_factory=list)
    apis: list[str] = field(default_factory=list)
    """What the agent's models speak natively, besides what every provider does."""
    leases: asyncio.Queue[Json] = field(default_factory=asyncio.Queue)
    outcomes: asyncio.Queue[tuple[str, Json]] = field(default_factory=asyncio.Queue)
    decisions: list[Json] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    decide: Callable[[Json], Json] = lambda request: {"effect": "Allow", "reason": "Allowed"}
    call: Callable[[Json], Awaitable[Json]] | None = None
    approvals: dict[str, asyncio.Future[str]] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    """Tokens whose values this agent may not have."""
    events: list[Json] = field(default_factory=list)
    statuses: list[Json] = field(default_factory=list)
    acks: list[Json] = field(default_factory=list)
    spans: list[bytes] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    frozen: bool = False
    """Whether everything is refused."""
    refused: list[str] = field(default_factory=list)
    """Paths of what was refused so."""
    runner: web.AppRunner | None = None
    shared: bool = False
    """One guard serves many tests: a changed bundle is a new generation, and work waits until it holds."""
    offered: str = ""

    def reset(self) -> None:
        """Everything a test may have put here, away; the guard stays."""
        for queue in (self.leases, self.outcomes):
            while not queue.empty():
                queue.get_nowait()
        for box in (self.models, self.model_requests, self.decisions, self.calls, self.events, self.spans):
            box.clear()
        for names in (self.hidden, self.cancelled, self.lost):
            names.clear()
        self.approvals.clear()
        self.bundle, self.call = {}, None
        self.decide = lambda request: {"effect": "Allow", "reason": "Allowed"}
        self.__dict__.pop("token", None)

    def renew(self) -> None:
        """A generation of its own for what the bundle holds now."""
        offer = json.dumps(self.bundle)
        if self.shared and offer != self.offered:
            self.offered, self.generation = offer, self.generation + 1

    def in_force(self) -> bool:
        """The guard applied the current bundle."""
        self.renew()
        return not self.shared or any(
            ack["applied"] and ack["generation"] == self.generation for ack in self.acks
        )

    def token(self, entity_type: str, value: str) -> str:
        """Issue a token."""
        token = make_token(_KEY, "0", entity_type, value)
        self.values[token] = value
        return token

    def analyzer_token(self, tenant: str = "acme", **claims: object) -> str:
        """What the analyzer of a machine knows this agent by."""
        now = int(datetime.now(UTC).timestamp())
        stated = {"sub": AGENT, "tenant": tenant, "iss": "cadre-controller", "aud": "cadre-analyzer"}
        times = {"iat": now, "exp": now + 1200}
        return jwt.encode({**stated, **times, **claims}, self.signer, algorithm="EdDSA")

    def submit(self, prompt: str, task: str = "task-1", **extra: object) -> None:
        """Put work in the queue."""
        now = datetime.now(UTC)
        lease: Json = {
            "taskId": task, "sessionId": SESSION, "fence": 7, "attempt": 1, "prompt": prompt,
            "expiresAt": (now + timedelta(seconds=3)).isoformat(),
            "deadlineAt": (now + timedelta(seconds=120)).isoformat(),
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            **extra,
        }  # fmt: skip
        self.leases.put_nowait(lease)

    async def outcome(self, seconds: float = 120) -> tuple[str, Json]:
        """The next completion or failure a guard hands in."""
        return await asyncio.wait_for(self.outcomes.get(), seconds)

    async def start(self) -> None:
        """Listen, on the same port as before after a stop."""
        self.runner = web.AppRunner(
            _app(self), access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self.runner.addresses[0][1]

    async def stop(self) -> None:
        """Go away."""
        assert self.runner is not None
        await self.runner.cleanup()

    def signed_bundle(self) -> str:
        """The current bundle as a compact JWS."""
        now = datetime.now(UTC)
        body = {
            "agent": AGENT, "tenant": "acme", "generation": self.generation, "digest": f"d{self.generation}",
            "issuedAt": now.isoformat(), "expiresAt": (now + timedelta(hours=1)).isoformat(),
            "nodePath": ["acme/root"], "clearance": ["INTERNAL", "PII"], "turnTimeoutSeconds": 60,
            "contextWindow": 32000, "title": "Writer", "instructions": "Be brief.",
            "guard": {"mode": "Mask", "terms": [{"text": "Hanna Keller", "entityType": "PERSON"}]},
            **self.bundle,
        }  # fmt: skip
        return self.jws(jwt.PyJWS().encode(json.dumps(body).encode(), self.signer, algorithm="EdDSA"))


def _app(controller: Controller) -> web.Application:
    @web.middleware
    async def stop(request: web.Request, handler: Handler) -> web.StreamResponse:
        if controller.frozen:
            controller.refused.append(request.path)
            return problem(403, "Frozen")
        return await handler(request)

    app = web.Application(client_max_size=32 * 1024 * 1024, middlewares=[stop])
    routes = _Routes(controller)
    base = "/guard/v1"
    app.router.add_post(f"{base}/token", routes.token)
    app.router.add_get(f"{base}/jwks", routes.jwks)
    app.router.add_get(f"{base}/bundle", routes.bundle)
    app.router.add_post(f"{base}/bundle/ack", routes.keep(controller.acks))
    app.router.add_post(f"{base}/claims", routes.claim)
    app.router.add_post(f"{base}/leases/{{task}}/heartbeat", routes.heartbeat)
    app.router.add_post(f"{base}/leases/{{task}}/{{end:complete|fail}}", routes.end)
    app.router.add_post(f"{base}/pseudonyms/issue", routes.issue)
    app.router.add_post(f"{base}/pseudonyms/restore", routes.restore)
    app.router.add_post(f"{base}/tools/decide", routes.decide)
    app.router.add_post(f"{base}/tools/call", routes.call)
    app.router.add_get(f"{base}/approvals/{{id}}", routes.approval)
    app.router.add_post(f"{base}/events", routes.events)
    app.router.add_post(f"{base}/status", routes.keep(controller.statuses))
    app.router.add_post(f"{base}/model/{{api:.+}}", routes.model)
    app.router.add_get(f"{base}/models", routes.apis)
    app.router.add_post(f"{base}/otlp/v1/traces", routes.spans)
    return app


class _Routes:
    def __init__(self, controller: Controller) -> None:
        self.c = controller

    async def token(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["bootstrap"] != "bootstrap-secret":
            return problem(403, "BootstrapRefused")
        key = json.loads(OKPAlgorithm.to_jwk(self.c.signer.public_key()))
        expires = (datetime.now(UTC) + timedelta(minutes=20)).isoformat()
        tokens = {"token": "jwt", "analyzerToken": self.c.analyzer_token()}
        return web.json_response({**tokens, "expiresAt": expires, "bundleKey": key})

    async def jwks(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": [json.loads(OKPAlgorithm.to_jwk(self.c.signer.public_key()))]})

    async def bundle(self, request: web.Request) -> web.Response:
        after, deadline = int(request.query["after"]), float(request.query["wait"])
        for _ in range(int(min(deadline, 5) / 0.05)):
            self.c.renew()
            if self.c.generation > after:
                return web.json_response({"jws": self.c.signed_bundle()})
            await asyncio.sleep(0.05)
        return web.Response(status=204)

    async def claim(self, request: web.Request) -> web.Response:
        wait = float((await request.json())["waitSeconds"])
        for _ in range(int(min(wait, 5) / 0.02)):
            if not self.c.leases.empty() and self.c.in_force():
                return web.json_response({"leases": [self.c.leases.get_nowait()]})
            await asyncio.sleep(0.02)
        return web.json_response({"leases": []})

    async def heartbeat(self, request: web.Request) -> web.Response:
        task = request.match_info["task"]
        if task in self.c.lost:
            return problem(409, "LeaseLost")
        expires = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        return web.json_response({"expiresAt": expires, "cancelled": task in self.c.cancelled})

    async def end(self, request: web.Request) -> web.Response:
        self.c.outcomes.put_nowait((request.match_info["end"], await request.json()))
        return web.Response(status=204)

    async def issue(self, request: web.Request) -> web.Response:
        items = (await request.json())["items"]
        return web.json_response({"tokens": [self.c.token(i["entityType"], i["value"]) for i in items]})

    async def restore(self, request: web.Request) -> web.Response:
        known = self.c.values
        asked = [token for token in (await request.json())["tokens"] if token not in self.c.hidden]
        return web.json_response({"values": {token: known[token] for token in asked if token in known}})

    async def decide(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.c.decisions.append(body)
        return web.json_response(self.c.decide(body))

    async def call(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.c.calls.append(body)
        if self.c.call is not None:
            return web.json_response(await self.c.call(body))
        return web.json_response(tool_result("done"))

    async def approval(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        future = self.c.approvals.setdefault(name, asyncio.get_running_loop().create_future())
        await asyncio.wait({future}, timeout=1)
        state = future.result() if future.done() else "Pending"
        return web.json_response({"id": name, "state": state, "reason": ""})

    async def events(self, request: web.Request) -> web.Response:
        self.c.events.extend((await request.json())["events"])
        return web.Response(status=204)

    def keep(self, into: list[Json]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            into.append(await request.json())
            return web.Response(status=204)

        return handle

    async def spans(self, request: web.Request) -> web.Response:
        self.c.spans.append(await request.read())
        return web.Response(status=200)

    async def apis(self, request: web.Request) -> web.Response:
        entry = {"id": "cadre-work", "object": "model", "apis": self.c.apis}
        return web.json_response({"object": "list", "data": [entry]})

    async def model(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.c.model_requests.append((dict(request.headers), body))
        reply = self.c.models.pop(0) if len(self.c.models) > 1 else self.c.models[0]
        return await reply(request, body)


def problem(status: int, reason: str) -> web.Response:
    """An RFC 9457 body."""
    return web.json_response(
        {"title": reason, "status": status, "reason": reason, "detail": reason}, status=status
    )


def tool_result(text: str, effect: str = "Allow", **evaluation: object) -> Json:
    """A ToolCallResponse."""
    return {"evaluation": {"effect": effect, **evaluation}, "content": [{"type": "text", "text": text}]}


def chunk(delta: Json, finish: str | None = None, **extra: object) -> bytes:
    """One SSE event of a chat completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **extra,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


USAGE = {"prompt_tokens": 50, "completion_tokens": 4, "total_tokens": 54}


def text_events(text: str, size: int = 3) -> list[bytes]:
    """A streamed answer, `size` characters a piece."""
    pieces = [chunk({"content": text[i : i + size]}) for i in range(0, len(text), size)]
    return [*pieces, chunk({}, "stop"), chunk({}, None, usage=USAGE), b"data: [DONE]\n\n"]


def tool_events(*calls: tuple[str, str, Json]) -> list[bytes]:
    """A streamed answer of tool calls (id, name, arguments), arguments in small pieces."""
    events: list[bytes] = []
    for index, (call_id, name, arguments) in enumerate(calls):
        head = {
            "index": index,
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        events.append(chunk({"tool_calls": [head]}))
        text = json.dumps(arguments)
        for i in range(0, len(text), 5):
            piece = {"index": index, "function": {"arguments": text[i : i + 5]}}
            events.append(chunk({"tool_calls": [piece]}))
    return [*events, chunk({}, "tool_calls"), chunk({}, None, usage=USAGE), b"data: [DONE]\n\n"]


def streams(events: list[bytes], pause: float = 0, after: asyncio.Event | None = None) -> Model:
    """A model that sends these events; `after` holds it back before the first."""

    async def reply(request: web.Request, body: Json) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": keepalive\n\n")
        if after is not None:
            await after.wait()
        for event in events:
            await response.write(event)
            await asyncio.sleep(pause)
        return response

    return reply


def says(text: str, **options: object) -> Model:
    """A model that answers with a text."""
    return streams(text_events(text), **options)  # type: ignore[arg-type]


def wants(*calls: tuple[str, str, Json]) -> Model:
    """A model that asks for tools."""
    return streams(tool_events(*calls))


def refuses(status: int, reason: str) -> Model:
    """A gateway that refuses."""

    async def reply(request: web.Request, body: Json) -> web.StreamResponse:
        return problem(status, reason)

    return reply


@asynccontextmanager
async def guard_process(
    controller: Controller, goose: Path, state: Path, *, stderr: bool = False, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A real guard; asked to go at the end, killed when it takes long."""
    bootstrap = state / "bootstrap"
    bootstrap.write_text("bootstrap-secret")
    env = {
        "PATH": os.environ["PATH"],
        "CADRE_AGENT": AGENT,
        "CADRE_CONTROLLER": f"http://127.0.0.1:{controller.port}",
        "CADRE_BOOTSTRAP_FILE": str(bootstrap),
        "CADRE_GOOSE": str(goose),
        "CADRE_STATE_DIR": str(state / "agent"),
        **{name: value for name, value in os.environ.items() if name.startswith(("COVERAGE", "PYTHONPATH"))},
        **environment,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cadre_guard", env=env, stderr=asyncio.subprocess.PIPE if stderr else None
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait({asyncio.ensure_future(process.wait())}, timeout=5)
        if process.returncode is None:
            process.kill()
        await process.wait()
