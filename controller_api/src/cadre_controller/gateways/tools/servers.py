"""Living connections to the chart's tool servers, and the proof that each still offers what was pinned."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp

from cadre_controller.gateways.model.credentials import Credentials
from cadre_controller.gateways.tools.mcp import HttpTransport, McpClient, McpError, StdioTransport, ToolInfo
from cadre_controller.gateways.tools.mcp.wire import Transport
from cadre_controller.ports import Clock
from cadre_core.canonical import digest
from cadre_core.model import EffectiveTool, ToolServerSpec

_FRESH_SECONDS = 30.0
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")
_UNPINNED: tuple[Mapping[str, object], ...] = ({}, {"type": "object"})


@dataclass(slots=True)
class _Connection:
    spec: ToolServerSpec
    client: McpClient
    checked_at: float | None = None
    degraded: str = ""
    seen: dict[str, str] = field(default_factory=dict)
    """Digest of each schema that is not pinned, as first seen: it may not change either."""
    checking: asyncio.Lock = field(default_factory=asyncio.Lock)


class ToolServers:
    """One client per tenant and server; a changed specification means a new client."""

    def __init__(self, http: aiohttp.ClientSession, credentials: Credentials, clock: Clock) -> None:
        self._http = http
        self._credentials = credentials
        self._clock = clock
        self._connections: dict[tuple[str, str], _Connection] = {}
        self._closed = False

    async def client(self, tenant: str, spec: ToolServerSpec) -> McpClient:
        """The client of a server; raises Denied(CredentialMissing), McpError after the end."""
        return (await self._connection(tenant, spec)).client

    async def degraded(self, tenant: str, spec: ToolServerSpec) -> str:
        """Why the server is not to be trusted, empty when it offers what is pinned; raises McpError."""
        connection = await self._connection(tenant, spec)
        async with connection.checking:
            now = self._clock.monotonic()
            if connection.checked_at is None or now - connection.checked_at >= _FRESH_SECONDS:
                offered = await connection.client.list_tools()
                connection.degraded = _difference(spec, offered, connection.seen)
                connection.checked_at = now
            return connection.degraded

    def states(self, tenant: str) -> dict[str, str]:
        """Server -> why it is degraded, empty when it is not; only servers used so far."""
        return {key: c.degraded for (owner, key), c in self._connections.items() if owner == tenant}

    async def close(self) -> None:
        """End every session and child process, for good."""
        self._closed = True
        connections, self._connections = self._connections, {}
        await asyncio.gather(*(c.client.close() for c in connections.values()), return_exceptions=True)

    async def _connection(self, tenant: str, spec: ToolServerSpec) -> _Connection:
        if self._closed:
            raise McpError("ToolServerGone", "the controller is stopping", sent=False)
        known = self._connections.get((tenant, spec.key))
        if known is not None and known.spec == spec:
            return known
        connection = _Connection(spec, McpClient(self._transport(spec), probe_stateless=bool(spec.url)))
        self._connections[tenant, spec.key] = connection
        if known is not None:
            await known.client.close()
        return connection

    def _transport(self, spec: ToolServerSpec) -> Transport:
        credential = self._credentials.resolve(spec.credential, f"tool server {spec.key}")
        if spec.url:
            headers = {"Authorization": f"Bearer {credential}"} if credential else {}
            return HttpTransport(self._http, spec.url, headers)
        inherited = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        secrets = {
            name: self._credentials.resolve(reference, f"tool server {spec.key}")
            for name, reference in spec.secret_env.items()
        }
        return StdioTransport(spec.command, {**inherited, **spec.env, **secrets})


def _difference(spec: ToolServerSpec, offered: tuple[ToolInfo, ...], seen: dict[str, str]) -> str:
    """What differs from the pins, for people; empty when nothing does."""
    by_name = {tool.name: tool for tool in offered}
    for name, pinned in sorted(spec.tools.items()):
        tool = by_name.get(name)
        if tool is None:
            return f"the tool {name} is gone"
        if not _same_schema(pinned, tool, seen):
            return f"the schema of the tool {name} has changed"
    return ""


def _same_schema(pinned: EffectiveTool, offered: ToolInfo, seen: dict[str, str]) -> bool:
    found = digest(dict(offered.input_schema))
    if dict(pinned.input_schema) in _UNPINNED:
        return seen.setdefault(offered.name, found) == found
    return found == digest(dict(pinned.input_schema))
