"""One running agent with its two endpoints. A new one for every trust set: its HOME starts empty."""

import asyncio
import hashlib
import json
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from cadre_api.protocol.guard import AgentBundle
from cadre_guard.acp.client import AcpClient, GatewayAddress
from cadre_guard.acp.connection import AcpConnection
from cadre_guard.acp.permissions import PermissionDesk
from cadre_guard.agent_environment import agent_launch
from cadre_guard.errors import GuardError
from cadre_guard.mcp.app import tool_app
from cadre_guard.mcp.endpoint import ToolEndpoint
from cadre_guard.model.app import model_app
from cadre_guard.model.call import ModelPath
from cadre_guard.model.endpoint import ModelEndpoint
from cadre_guard.sandbox.spec import WORKDIR
from cadre_guard.sandbox.start import AgentProcess, start_agent
from cadre_guard.settings import Settings
from cadre_guard.turn.tools import ToolGate
from cadre_guard.turn.turn import TurnRegistry


@dataclass(slots=True)
class AgentHost:
    """A live agent: sessions are opened on `client`, found again in `turns`."""

    process: AgentProcess
    client: AcpClient
    turns: TurnRegistry
    gateway: GatewayAddress
    cwd: str
    trust: str
    reader: asyncio.Task[None]
    servers: web.AppRunner
    tool_server: web.AppRunner

    @property
    def alive(self) -> bool:
        """Its process has not ended."""
        return not self.reader.done()

    async def stop(self) -> None:
        """Kill the agent, close its ports, wipe its HOME."""
        await self.process.kill()
        await self.servers.cleanup()
        await self.tool_server.cleanup()
        await self.process.clean()
        self.reader.cancel()
        await asyncio.gather(self.reader, return_exceptions=True)


def trust_set(bundle: AgentBundle) -> str:
    """Sessions under the same value may share an agent's memory and HOME; a change of rights ends that."""
    rights = bundle.model_dump(mode="json", exclude={"generation", "digest", "issued_at", "expires_at"})
    return hashlib.sha256(json.dumps(rights, sort_keys=True).encode()).hexdigest()


async def start_host(settings: Settings, bundle: AgentBundle, path: ModelPath, gate: ToolGate) -> AgentHost:
    """Start agent and endpoints and shake hands; raises GuardError."""
    prefix, secret = secrets.token_hex(16), secrets.token_hex(32)
    home = Path(tempfile.mkdtemp(prefix="home-", dir=settings.state_dir))
    spec = agent_launch(
        bundle, goose=settings.goose, prefix=prefix, secret=secret, isolate=settings.isolate, home=home
    )
    process = await start_agent(spec)
    turns = TurnRegistry()
    models = ModelEndpoint(bundle, turns, path)
    tools = ToolEndpoint(bundle, turns, gate)
    servers = await _serve(process, 0, model_app(models, prefix, secret))
    tool_server = await _serve(process, 1, tool_app(tools, prefix, secret))
    desk = PermissionDesk(turns, gate)
    connection = AcpConnection(process.stdout, process.stdin, desk.answer, desk.ignore)
    reader = asyncio.create_task(connection.run())
    port = process.listeners[1].getsockname()[1]
    bearer = f"Bearer {secret}"
    host = AgentHost(
        process=process,
        client=AcpClient(connection),
        turns=turns,
        gateway=GatewayAddress(f"http://127.0.0.1:{port}/{prefix}/mcp", {"Authorization": bearer}),
        cwd=WORKDIR if process.report.boundary.get("mount") else str(home),
        trust=trust_set(bundle),
        reader=reader,
        servers=servers,
        tool_server=tool_server,
    )
    try:
        await host.client.initialize()
    except GuardError:
        await host.stop()
        raise
    return host


async def _serve(process: AgentProcess, index: int, app: web.Application) -> web.AppRunner:
    # a request whose client has gone is over: a cancelled turn must not leave a tool call behind
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    await web.SockSite(runner, process.listeners[index]).start()
    return runner
