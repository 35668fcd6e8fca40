"""The guard's own tools over plain HTTP, for programs in the agent's place that speak no MCP.

The same tools, offered when the profile has them and decided by the same policy, for a turn under way.
"""

from aiohttp import web

from cadre_api.protocol.guard import AgentBundle, BundleTool
from cadre_guard.model.border import BadRequestError, read_body
from cadre_guard.openapi import Operation, description_of
from cadre_guard.turn.privacy import privacy_tools
from cadre_guard.turn.tools import ToolGate
from cadre_guard.turn.turn import TurnRegistry


class PrivacyEndpoint:
    """Handlers for `/v1/privacy/<tool>` and `/openapi.json`."""

    def __init__(self, bundle: AgentBundle, turns: TurnRegistry, gate: ToolGate) -> None:
        self._tools: dict[str, BundleTool] = {tool.tool: tool for tool in privacy_tools(bundle).values()}
        self._turns = turns
        self._gate = gate

    async def post(self, request: web.Request) -> web.Response:
        """One operation."""
        tool = self._tools.get(request.match_info["tool"])
        if tool is None:
            return _problem(404, "UnknownTool", "the agent's profile has no such tool of the builtin Guard")
        turn = self._turns.find(request.headers.get("agent-session-id", ""))
        if turn is None:
            return _problem(403, "NoTurn", "no turn is under way in this session")
        try:
            given = (await read_body(request)).document
        except BadRequestError as error:
            return _problem(error.status, error.reason, error.message)
        answer = await self._gate.ask(turn, tool, dict(given))
        if answer.is_error:
            text = answer.content[0]
            assert isinstance(text, dict)
            return _problem(403, "Refused", str(text["text"]))
        return web.json_response(answer.structured)

    async def openapi(self, request: web.Request) -> web.Response:
        """What there is."""
        tools = (Operation(t.tool, t.description, t.input_schema) for t in self._tools.values())  # type: ignore[arg-type]  # JSON by origin
        return web.json_response(description_of(tools))


def _problem(status: int, reason: str, message: str) -> web.Response:
    return web.json_response({"reason": reason, "message": message}, status=status)
