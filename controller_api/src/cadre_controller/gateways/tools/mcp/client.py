"""Speaks with one MCP server, in whichever protocol era it lives, and starts a new session when the old one
is gone.
"""

import asyncio
from collections.abc import Mapping

from cadre_controller.gateways.tools.mcp.wire import (
    CLIENT_INFO,
    HANDSHAKE,
    SESSION_UNKNOWN,
    STATELESS,
    Exchange,
    JsonObject,
    McpError,
    ToolInfo,
    ToolResult,
    Transport,
    result_of,
    tool_result_of,
    tools_of,
)

_PREFIX = "io.modelcontextprotocol/"
_CONNECT_TIMEOUT = 15.0
_MAX_PAGES = 50


class McpClient:
    """A client of one server; safe for concurrent calls."""

    def __init__(self, transport: Transport, *, probe_stateless: bool = True) -> None:
        self._transport = transport
        self._probe_stateless = probe_stateless
        self._version = ""
        self._connecting = asyncio.Lock()
        self._next_id = 0

    async def connect(self) -> None:
        """Reach or start the server and agree on a version, once; raises McpError."""
        async with self._connecting:
            if not self._version and not (self._probe_stateless and await self._discover()):
                await self._initialize()

    async def list_tools(self, seconds: float = _CONNECT_TIMEOUT) -> tuple[ToolInfo, ...]:
        """Everything the server offers now; raises McpError."""
        tools: list[ToolInfo] = []
        cursor: object = None
        for _ in range(_MAX_PAGES):
            params: JsonObject = {} if cursor is None else {"cursor": cursor}
            page = await self._request("tools/list", params, seconds)
            tools.extend(tools_of(page))
            cursor = page.get("nextCursor")
            if cursor is None:
                return tuple(tools)
        raise McpError("ToolServerGarbage", "tools/list never ends", sent=True)

    async def call_tool(
        self, name: str, arguments: Mapping[str, object], meta: Mapping[str, object], seconds: float
    ) -> ToolResult:
        """Run one tool once; raises McpError, whose `sent` tells whether it may have run."""
        params: JsonObject = {"name": name, "arguments": dict(arguments), "_meta": dict(meta)}
        return tool_result_of(await self._request("tools/call", params, seconds))

    async def close(self) -> None:
        """End the session."""
        self._version = ""
        await self._transport.close()

    async def _request(self, method: str, params: JsonObject, seconds: float) -> JsonObject:
        await self.connect()
        try:
            return await self._exchange(method, params, seconds)
        except McpError as error:
            if error.code != SESSION_UNKNOWN:
                raise
        await self._disconnect()
        await self.connect()
        return await self._exchange(method, params, seconds)

    async def _disconnect(self) -> None:
        async with self._connecting:
            self._version = ""
            await self._transport.reset()

    async def _discover(self) -> bool:
        """True when the server lives without sessions (MCP 2026-07-28 `server/discover`)."""
        self._version = STATELESS
        try:
            found = await self._exchange("server/discover", {}, _CONNECT_TIMEOUT)
        except McpError as error:
            self._version = ""
            if error.reason in (
                "ToolServerUnreachable",
                "ToolServerUnauthorized",
                "ToolTimeout",
                "ToolServerCut",
            ):
                raise
            return False
        versions = found.get("supportedVersions")
        if isinstance(versions, list) and STATELESS in versions:
            return True
        self._version = ""
        return False

    async def _initialize(self) -> None:
        params: JsonObject = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": CLIENT_INFO}
        await self._transport.reset()
        await self._exchange("initialize", params, _CONNECT_TIMEOUT)
        note: JsonObject = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        await self._transport.notify(Exchange(note, _CONNECT_TIMEOUT, {"MCP-Protocol-Version": HANDSHAKE}))
        self._version = HANDSHAKE

    async def _exchange(self, method: str, params: JsonObject, seconds: float) -> JsonObject:
        self._next_id += 1
        message: JsonObject = {
            "jsonrpc": "2.0",
            "id": self._next_id,
            "method": method,
            "params": self._enveloped(params),
        }
        return result_of(
            await self._transport.request(Exchange(message, seconds, self._headers(method, params)))
        )

    def _enveloped(self, params: JsonObject) -> JsonObject:
        if self._version != STATELESS:
            return params
        meta = params.get("_meta")
        envelope: JsonObject = {
            f"{_PREFIX}protocolVersion": STATELESS,
            f"{_PREFIX}clientInfo": CLIENT_INFO,
            f"{_PREFIX}clientCapabilities": {},
        }
        return {**params, "_meta": {**(meta if isinstance(meta, dict) else {}), **envelope}}

    def _headers(self, method: str, params: JsonObject) -> dict[str, str]:
        if self._version != STATELESS:
            return {"MCP-Protocol-Version": self._version} if self._version else {}
        headers = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": method}
        name = params.get("name")
        return {**headers, "Mcp-Name": name} if isinstance(name, str) else headers
