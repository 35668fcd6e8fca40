"""One agent that we shook hands with, and its two endpoints. A new one for every trust set."""

import asyncio
import hashlib
import json
import socket
from dataclasses import dataclass

from aiohttp import web

from cadre_api.protocol.guard import AgentBundle
from cadre_guard.acp.client import AcpClient, GatewayAddress
from cadre_guard.acp.connection import AcpConnection
from cadre_guard.acp.permissions import PermissionDesk
from cadre_guard.errors import GuardError
from cadre_guard.listener import Note, StrangersRunner
from cadre_guard.mcp.app import tool_app
from cadre_guard.mcp.endpoint import ToolEndpoint
from cadre_guard.mcp.privacy import PrivacyEndpoint
from cadre_guard.model.app import model_app
from cadre_guard.model.call import ModelPath
from cadre_guard.model.endpoint import ModelEndpoint
from cadre_guard.place.port import Place, Seat
from cadre_guard.turn.tools import ToolGate
from cadre_guard.turn.turn import TurnRegistry


@dataclass(slots=True)
class AgentHost:
    """A live agent: sessions are opened on `client`, found again in `turns`."""

    seat: Seat
    client: AcpClient
    turns: TurnRegistry
    gateway: GatewayAddress
    trust: str
    reader: asyncio.Task[None]
    servers: tuple[web.AppRunner, ...]

    @property
    def alive(self) -> bool:
        """It can still be spoken to."""
        return not self.reader.done()

    @property
    def cwd(self) -> str:
        """Its working directory, as it sees it."""
        return self.seat.cwd

    async def stop(self, *, broken: bool = False) -> None:
        """Part from the agent and close its endpoints; a broken one is not met again."""
        await self.seat.end(broken=broken or not self.alive)
        for server in self.servers:
            await server.cleanup()
        await self.seat.clean()
        self.reader.cancel()
        await asyncio.gather(self.reader, return_exceptions=True)


def trust_set(bundle: AgentBundle) -> str:
    """Sessions under the same value may share an agent's memory and HOME; a change of rights ends that."""
    rights = bundle.model_dump(mode="json", exclude={"generation", "digest", "issued_at", "expires_at"})
    rights["guard"] = bundle.guard.model_dump(mode="json", exclude={"added", "released"})
    return hashlib.sha256(json.dumps(rights, sort_keys=True).encode()).hexdigest()


async def start_host(place: Place, bundle: AgentBundle, path: ModelPath, gate: ToolGate) -> AgentHost:
    """Take a seat, serve its endpoints and shake hands; raises GuardError."""
    seat = await place.seat(bundle)
    turns = TurnRegistry()
    servers = await _serve(seat, bundle, turns, path, gate)
    desk = PermissionDesk(turns, gate)
    connection = AcpConnection(seat.reader, seat.writer, desk.answer, desk.ignore)
    host = AgentHost(
        seat=seat,
        client=AcpClient(connection),
        turns=turns,
        gateway=_gateway(seat),
        trust=trust_set(bundle),
        reader=asyncio.create_task(connection.run()),
        servers=servers,
    )
    try:
        await host.client.initialize()
    except GuardError:
        await host.stop(broken=True)
        raise
    return host


def _gateway(seat: Seat) -> GatewayAddress:
    port, keys = seat.tool_listener.getsockname()[1], seat.keys
    url = f"http://127.0.0.1:{port}/{keys.prefix}/mcp"
    return GatewayAddress(url, {"Authorization": f"Bearer {keys.secret}"})


async def _serve(
    seat: Seat, bundle: AgentBundle, turns: TurnRegistry, path: ModelPath, gate: ToolGate
) -> tuple[web.AppRunner, ...]:
    models = ModelEndpoint(bundle, turns, path)
    model = model_app(models, seat.keys.prefix, seat.keys.secret)
    endpoint, privacy = ToolEndpoint(bundle, turns, gate), PrivacyEndpoint(bundle, turns, gate)
    tools = tool_app(endpoint, privacy, seat.keys.prefix, seat.keys.secret)
    note = models.unreadable
    return (
        await _listen(seat.model_listener, model, note),
        await _listen(seat.tool_listener, tools, note),
    )


async def _listen(listener: socket.socket, app: web.Application, note: Note) -> web.AppRunner:
    runner = StrangersRunner(app, shutdown_seconds=1.0, note=note)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    return runner
