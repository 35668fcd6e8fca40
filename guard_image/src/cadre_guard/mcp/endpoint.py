"""The agent's one tool server (MCP, streamable HTTP, stateless): the bundle's tools, nothing else.

JSON-RPC by hand, because a call must be held for a human for hours, joined to the model's own tool call and
cut when the turn ends; the protocol part is five methods.
"""

import asyncio
import contextlib
import json
import logging

from aiohttp import web

from cadre_api.protocol.guard import AgentBundle, BundleTool
from cadre_guard.jsonvalue import JsonObject, as_object, as_text, parse_object
from cadre_guard.turn.tools import ToolAnswer, ToolGate
from cadre_guard.turn.turn import TurnRegistry

log = logging.getLogger(__name__)

_PROTOCOLS = ("2025-11-25", "2025-06-18", "2025-03-26")
_RESULT_LIMIT = 150_000
"""Characters; goose hides results over 200 000 in a file that the agent cannot read."""
_KEEPALIVE_SECONDS = 5.0
_JSON_AT_ONCE_SECONDS = 1.0
_METHOD_NOT_FOUND, _INVALID_PARAMS, _PARSE_ERROR = -32601, -32602, -32700


class ToolEndpoint:
    """Handlers for `/mcp`."""

    def __init__(self, bundle: AgentBundle, turns: TurnRegistry, gate: ToolGate) -> None:
        self._bundle = bundle
        self._turns = turns
        self._gate = gate

    async def post(self, request: web.Request) -> web.StreamResponse:
        """One JSON-RPC message."""
        try:
            message = parse_object(await request.read())
        except web.HTTPException:
            raise
        except ValueError:
            message = None
        if message is None:
            return web.json_response(_error(None, _PARSE_ERROR, "not a JSON object"), status=400)
        if "id" not in message:
            return web.Response(status=202)
        if message.get("method") == "tools/call":
            return await self._call(request, message)
        return web.json_response(self._answer(message))

    async def refuse_stream(self, request: web.Request) -> web.Response:
        """GET: we never speak first."""
        return web.Response(status=405, headers={"Allow": "POST"})

    def _answer(self, message: JsonObject) -> JsonObject:
        params = as_object(message.get("params"))
        match message.get("method"):
            case "initialize":
                return _result(message, self._initialized(params))
            case "tools/list":
                return _result(message, {"tools": [_listed(tool) for tool in self._bundle.tools]})
            case "ping":
                return _result(message, {})
            case _:
                return _error(message.get("id"), _METHOD_NOT_FOUND, "method not found")

    def _initialized(self, params: JsonObject) -> JsonObject:
        asked = as_text(params.get("protocolVersion"))
        return {
            "protocolVersion": asked if asked in _PROTOCOLS else _PROTOCOLS[0],
            "capabilities": {"tools": {"listChanged": False}},
            "serverInfo": {"name": "gw", "version": "1"},
        }

    async def _call(self, request: web.Request, message: JsonObject) -> web.StreamResponse:
        params = as_object(message.get("params"))
        meta = as_object(params.get("_meta"))
        turn = self._turns.find(as_text(meta.get("agent-session-id")))
        name = as_text(params.get("name"))
        if turn is None or name not in {tool.name for tool in self._bundle.tools}:
            return web.json_response(_error(message.get("id"), _INVALID_PARAMS, "no such tool here"))
        call_id = as_text(meta.get("agent-tool-call-request-id"))
        work = asyncio.ensure_future(self._gate.run(turn, call_id, name, as_object(params.get("arguments"))))
        try:
            done, _ = await asyncio.wait({work}, timeout=_JSON_AT_ONCE_SECONDS)
            if done:
                return web.json_response(_result(message, _content(work.result())))
            return await _stream(request, message, work)
        finally:
            work.cancel()


async def _stream(
    request: web.Request, message: JsonObject, work: "asyncio.Future[ToolAnswer]"
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    while not work.done():
        await response.write(b": keepalive\n\n")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(work), _KEEPALIVE_SECONDS)
    body = json.dumps(_result(message, _content(work.result())))
    await response.write(f"event: message\ndata: {body}\n\n".encode())
    await response.write_eof()
    return response


def _content(answer: ToolAnswer) -> JsonObject:
    content: list[object] = []
    budget = _RESULT_LIMIT
    for block in answer.content:
        size = len(json.dumps(block, ensure_ascii=False))
        if size > budget:
            content.append(_cut(block, budget))
            budget = 0
            break
        budget -= size
        content.append(block)
    result: JsonObject = {"content": content, "isError": answer.is_error}
    if answer.structured is not None and len(json.dumps(answer.structured)) <= budget:
        result["structuredContent"] = answer.structured
    return result


def _cut(block: object, budget: int) -> JsonObject:
    text = as_text(as_object(block).get("text"))[:budget]
    return {"type": "text", "text": f"{text}\n[the result is longer and was cut here]"}


def _listed(tool: BundleTool) -> JsonObject:
    # no annotations: a read-only mark would make some modes skip the permission question
    return {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}


def _result(message: JsonObject, result: JsonObject) -> JsonObject:
    return {"jsonrpc": "2.0", "id": message.get("id"), "result": result}


def _error(number: object, code: int, text: str) -> JsonObject:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}}
