"""What we say to an agent: handshake, a session that has our gateway and nothing else, prompts, cancel.

Measured traps of goose that shape this: a prompt that starts with `/` is a local command, a dead tool server
does not fail session/new, `stopReason` never proves success, a cancel waits for open permissions.
"""

import asyncio
from dataclasses import dataclass

from cadre_guard.acp.connection import AcpConnection
from cadre_guard.errors import GuardError
from cadre_guard.jsonvalue import JsonObject, as_list, as_object, as_text

_PROTOCOL_VERSION = 1
_HANDSHAKE_SECONDS = 60.0
_CANCEL_SECONDS = 10.0
GATEWAY_NAME = "gw"
PROMPT_HEAD = "Task for you:"
"""A fixed first block: whatever the user wrote can then never be read as a command of the agent."""


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """Where the agent finds our tools, as it sees it."""

    url: str
    headers: dict[str, str]

    def as_server(self) -> JsonObject:
        """The ACP form (`McpServerHttp`)."""
        headers = [{"name": name, "value": value} for name, value in self.headers.items()]
        return {"type": "http", "name": GATEWAY_NAME, "url": self.url, "headers": headers}


class AcpClient:
    """The calls of one connection."""

    def __init__(self, connection: AcpConnection) -> None:
        self._connection = connection
        self.agent_version = ""

    async def initialize(self) -> None:
        """Handshake; raises GuardError AgentIncompatible when the agent speaks another protocol."""
        answer = await self._connection.call(
            "initialize",
            {
                "protocolVersion": _PROTOCOL_VERSION,
                "clientCapabilities": {
                    "fs": {"readTextFile": False, "writeTextFile": False},
                    "terminal": False,
                },
            },
            _HANDSHAKE_SECONDS,
        )
        if answer.get("protocolVersion") != _PROTOCOL_VERSION:
            raise GuardError("AgentIncompatible", "the agent speaks another version of ACP", retryable=False)
        info = as_object(answer.get("agentInfo"))
        self.agent_version = f"{as_text(info.get('name'))} {as_text(info.get('version'))}".strip()

    async def new_session(self, cwd: str, gateway: GatewayAddress, *, tells_extensions: bool = True) -> str:
        """A session id; raises GuardError GatewayNotLoaded unless our gateway is the one extension.

        Only goose tells its extensions; with any other agent the endpoints alone decide what it can do.
        """
        params: JsonObject = {"cwd": cwd, "mcpServers": [gateway.as_server()]}
        answer = await self._connection.call("session/new", params, _HANDSHAKE_SECONDS)
        if tells_extensions:
            _require_only_gateway(answer)
        session = as_text(answer.get("sessionId"))
        if not session:
            raise GuardError("AgentIncompatible", "the agent gave no session id")
        return session

    async def append_system_prompt(self, session: str, text: str) -> None:
        """Add the profile's instructions to the system prompt (goose's own method; needs 1.52)."""
        params: JsonObject = {"sessionId": session, "mode": "append", "key": "cadre", "text": text}
        await self._connection.call("_goose/unstable/session/system-prompt/set", params, _HANDSHAKE_SECONDS)

    async def prompt(self, session: str, text: str, timeout_seconds: float) -> str:
        """Run one turn and answer its stop reason, which says when it ended and nothing about how."""
        blocks = [{"type": "text", "text": PROMPT_HEAD}, {"type": "text", "text": text}]
        params: JsonObject = {"sessionId": session, "prompt": blocks}
        answer = await self._connection.call("session/prompt", params, timeout_seconds)
        return as_text(answer.get("stopReason"))

    async def cancel(self, session: str) -> None:
        """Ask for the turn's end; open permissions must be answered by the caller right after."""
        await self._connection.notify("session/cancel", {"sessionId": session})

    async def forget(self, session: str) -> None:
        """Delete the session's history from the agent's HOME."""
        await self._connection.call("session/delete", {"sessionId": session}, _CANCEL_SECONDS)

    async def wait_closed(self) -> None:
        """Until the agent has gone."""
        await self._connection.closed.wait()


async def settle_cancelled(turn: "asyncio.Task[str]") -> bool:
    """Wait for a cancelled prompt to return; False when it did not within the bound (restart the agent)."""
    done, _pending = await asyncio.wait({turn}, timeout=_CANCEL_SECONDS)
    return bool(done)


def _require_only_gateway(answer: JsonObject) -> None:
    results = as_list(as_object(answer.get("_meta")).get("extensionResults"))
    loaded = [(as_object(entry).get("name"), as_object(entry).get("success")) for entry in results]
    if loaded != [(GATEWAY_NAME, True)]:
        raise GuardError("GatewayNotLoaded", "the agent did not load our tool gateway and nothing else")
