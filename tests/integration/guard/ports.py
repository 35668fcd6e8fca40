"""The guard's two endpoints in this process, behind a scripted controller, with one turn under way."""

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from typing_extensions import override

from cadre_api.protocol.guard import AgentBundle, Lease
from cadre_core.mesh import BUILTIN_TOOLS, GUARD, BuiltinTool
from cadre_guard.analysis.scanner import Scanner, sidecar
from cadre_guard.controller.client import ControllerClient
from cadre_guard.controller.identity import Identity
from cadre_guard.events import EventLog
from cadre_guard.listener import Note, StrangersRunner
from cadre_guard.masking.masker import Masker
from cadre_guard.masking.pairs import SessionPairs
from cadre_guard.mcp.app import tool_app
from cadre_guard.mcp.endpoint import ToolEndpoint
from cadre_guard.mcp.privacy import PrivacyEndpoint
from cadre_guard.model.app import model_app
from cadre_guard.model.call import ModelPath
from cadre_guard.model.endpoint import ModelEndpoint
from cadre_guard.model.journal import CallJournal
from cadre_guard.telemetry import Telemetry
from cadre_guard.turn.tools import ToolGate
from cadre_guard.turn.turn import Turn, TurnRegistry
from tests.integration.guard.controller_stub import AGENT, Controller, Json, tool

SECRET, PREFIX = "secret", "prefix"
MakeScanner = Callable[[aiohttp.ClientSession, Identity], Scanner]


def own_tool(each: BuiltinTool) -> Json:
    """A tool of the guard, as a bundle has it."""
    schema = {"inputSchema": dict(each.input_schema), "description": each.description}
    return {"name": f"privacy_guard_{each.name}", "server": GUARD, "tool": each.name, **schema}


@dataclass
class Ports:
    """Both endpoints, with one turn under way in session `s1`."""

    controller: Controller
    turn: Turn
    turns: TurnRegistry
    masker: Masker
    events: EventLog
    model: TestServer
    tools: TestServer
    http: aiohttp.ClientSession

    async def chat(self, body: object, session: str = "s1", **headers: str) -> tuple[int, Json]:
        """POST a body (JSON, or bytes as they are) to the chat endpoint."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = self.model.make_url(f"/{PREFIX}/v1/chat/completions")
        sent = {"Authorization": f"Bearer {SECRET}", "agent-session-id": session, **headers}
        async with self.http.post(url, data=io.BytesIO(data), headers=sent) as answer:
            return answer.status, json.loads(await answer.read())

    async def rpc(self, method: str, params: Json | None = None) -> Json:
        """One MCP request."""
        url = self.tools.make_url(f"/{PREFIX}/mcp")
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        async with self.http.post(url, json=message, headers={"Authorization": f"Bearer {SECRET}"}) as answer:
            body = await answer.read()
        if answer.content_type == "text/event-stream":  # what takes long is told in a stream
            body = next(line[6:] for line in body.splitlines() if line.startswith(b"data: "))
        found: Json = json.loads(body)
        return found


@pytest_asyncio.fixture
async def ports(controller: Controller, tmp_path: Path) -> AsyncIterator[Ports]:
    """The real endpoints, masker and controller client in this process."""
    async with opened(controller, tmp_path, lambda _http, _identity: sidecar()) as made:
        yield made


@asynccontextmanager
async def opened(
    controller: Controller, folder: Path, scanner: MakeScanner, trust: ssl.SSLContext | bool = True
) -> AsyncIterator[Ports]:
    """The same with a scanner of one's own, and authorities to believe."""
    now = datetime.now(UTC)
    bundle = AgentBundle.model_validate({
        "agent": AGENT, "tenant": "acme", "generation": 1, "digest": "d", "issuedAt": now,
        "expiresAt": now + timedelta(hours=1), "nodePath": [], "clearance": ["PII"],
        "tools": [tool("mail_send"), *map(own_tool, BUILTIN_TOOLS["Guard"])],
        "guard": {"languageModel": False},
    })  # fmt: skip
    lease = Lease.model_validate({
        "taskId": "task-1", "sessionId": "session-1", "fence": 7, "attempt": 1, "prompt": "",
        "expiresAt": now, "deadlineAt": now + timedelta(minutes=2),
    })  # fmt: skip
    secret = folder / "bootstrap"
    secret.write_text("bootstrap-secret")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as http:
        base = f"http://127.0.0.1:{controller.port}"
        identity = Identity(base, http, agent=AGENT, instance="i", bootstrap_file=secret)
        client = ControllerClient(base, http, identity)
        masker, events = Masker(client, scanner(http, identity)), EventLog(client)
        await masker.use(bundle)
        telemetry = Telemetry(client, AGENT)
        turns, gate = TurnRegistry(), ToolGate(client, masker, events, telemetry)
        path = ModelPath(client, masker, CallJournal(events), telemetry)
        turn = Turn(lease, bundle, SessionPairs("session-1", frozenset(bundle.clearance)), _soon(), _soon())
        turns.add("s1", turn)
        models = ModelEndpoint(bundle, turns, path)
        model = _Server(model_app(models, PREFIX, SECRET), models.unreadable)
        own = PrivacyEndpoint(bundle, turns, gate)
        tools = _Server(tool_app(ToolEndpoint(bundle, turns, gate), own, PREFIX, SECRET), models.unreadable)
        await model.start_server()
        await tools.start_server()
        yield Ports(controller, turn, turns, masker, events, model, tools, http)
        await model.close()
        await tools.close()
        masker.close()


class _Server(TestServer):
    """Behind the connections that the guard itself listens with."""

    def __init__(self, app: web.Application, note: Note) -> None:
        super().__init__(app)
        self._note = note

    @override
    async def _make_runner(self, **_options: object) -> StrangersRunner:
        return StrangersRunner(self.app, shutdown_seconds=1.0, note=self._note)


def _soon() -> float:
    return asyncio.get_running_loop().time() + 30
