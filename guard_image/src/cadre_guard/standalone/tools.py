"""`detect`, `process` and `restore` for programs: MCP tools (streamable HTTP, JSON answers), HTTP twins."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from cadre_detect import Json, Mode, restore_text
from cadre_guard.errors import GuardError
from cadre_guard.model.border import BadRequestError, read_body
from cadre_guard.openapi import Operation, description_of
from cadre_guard.standalone.maps import TokenMaps
from cadre_guard.standalone.masker import StandaloneMasker

PROTOCOLS = ("2025-06-18", "2025-03-26")
_TEXT: Json = {"type": "string", "description": "The text."}
Run = Callable[[Mapping[str, Json]], Awaitable[dict[str, Json]]]


@dataclass(frozen=True, slots=True)
class Tool:
    """One operation, the same over MCP and HTTP."""

    name: str
    description: str
    input_schema: Json
    run: Run


class PrivacyTools:
    """The operations."""

    def __init__(self, masker: StandaloneMasker, maps: TokenMaps) -> None:
        self._masker = masker
        self._maps = maps
        policy: Json = {"type": "string", "enum": [mode.value for mode in (Mode.MASK, Mode.DETECT)]}
        reference: Json = {"type": "string", "description": "The mapRef that process answered."}
        self.all = (
            Tool("detect", "Find private data in a text.", _schema(["text"], text=_TEXT), self._detect),
            Tool(
                "process",
                "Mask private data in a text; mapRef restores it within the hour.",
                _schema(["text"], text=_TEXT, policy=policy),
                self._process,
            ),
            Tool(
                "restore",
                "Put the values of a map back into a text.",
                _schema(["text", "mapRef"], text=_TEXT, mapRef=reference),
                self._restore,
            ),
        )

    async def _detect(self, given: Mapping[str, Json]) -> dict[str, Json]:
        return {"entities": await self._masker.findings(_string(given, "text"))}

    async def _process(self, given: Mapping[str, Json]) -> dict[str, Json]:
        text, policy = _string(given, "text"), given.get("policy", Mode.MASK.value)
        if policy not in (Mode.MASK.value, Mode.DETECT.value):
            raise GuardError("BadInput", "policy must be Mask or Detect", status=400)
        reference = self._maps.reference()
        masked = await self._masker.mask(text, salt=reference)
        counts: Json = dict(masked.counts)
        if policy == Mode.DETECT.value:
            return {"masked": text, "counts": counts}
        self._maps.keep(reference, masked.values)
        return {"masked": masked.document, "mapRef": reference, "counts": counts}

    async def _restore(self, given: Mapping[str, Json]) -> dict[str, Json]:
        values = self._maps.of(_string(given, "mapRef"))
        if values is None:
            raise GuardError("UnknownMap", "there is no such map, or its hour is over", status=404)
        return {"text": restore_text(_string(given, "text"), values)}


class ToolEndpoints:
    """`POST /v1/privacy/<tool>` and `POST /mcp`."""

    def __init__(self, tools: PrivacyTools) -> None:
        self._tools = {tool.name: tool for tool in tools.all}

    def add_to(self, app: web.Application) -> None:
        """Register the routes."""
        app.router.add_post("/v1/privacy/{tool}", self.http)
        app.router.add_post("/mcp", self.mcp)
        app.router.add_get("/openapi.json", self.openapi)

    async def http(self, request: web.Request) -> web.Response:
        """One operation."""
        tool = self._tools.get(request.match_info["tool"])
        if tool is None:
            return _problem(404, "UnknownTool", f"use one of: {', '.join(self._tools)}")
        try:
            return web.json_response(await tool.run((await read_body(request)).document))
        except BadRequestError as error:
            return _problem(error.status, error.reason, error.message)
        except GuardError as error:
            return _problem(error.status or 500, error.reason, error.message)

    async def mcp(self, request: web.Request) -> web.Response:
        """JSON-RPC 2.0 as MCP's streamable HTTP has it, without sessions."""
        try:
            message = (await read_body(request)).document
        except BadRequestError as error:
            return _rpc_error(None, -32700, f"{error.reason}: {error.message}", status=error.status)
        number = message.get("id")
        if number is None:
            return web.Response(status=202)
        params = message.get("params")
        given = params if isinstance(params, Mapping) else {}
        match message.get("method"):
            case "initialize":
                return _rpc(number, _introduction(given))
            case "ping":
                return _rpc(number, {})
            case "tools/list":
                return _rpc(number, {"tools": [_listed(tool) for tool in self._tools.values()]})
            case "tools/call":
                return await self._call(number, given)
            case _:
                return _rpc_error(number, -32601, "method not found")

    async def _call(self, number: Json, given: Mapping[str, Json]) -> web.Response:
        name, arguments = given.get("name"), given.get("arguments")
        tool = self._tools.get(str(name).removeprefix("privacy_guard."))
        if tool is None or not isinstance(arguments, Mapping):
            return _rpc_error(number, -32602, "no such tool, or arguments are no object")
        try:
            result = await tool.run(arguments)
        except GuardError as error:
            text: Json = [{"type": "text", "text": f"{error.reason}: {error.message}"}]
            return _rpc(number, {"content": text, "isError": True})
        shown: Json = [{"type": "text", "text": web.json_response(result).text or ""}]
        return _rpc(number, {"content": shown, "structuredContent": result})

    async def openapi(self, request: web.Request) -> web.Response:
        """OpenAPI 3.1 of the HTTP twins."""
        tools = (Operation(tool.name, tool.description, tool.input_schema) for tool in self._tools.values())
        return web.json_response(description_of(tools))


def _schema(required: list[str], **properties: Json) -> Json:
    names: list[Json] = list(required)
    return {
        "type": "object",
        "properties": dict(properties),
        "required": names,
        "additionalProperties": False,
    }


def _listed(tool: Tool) -> Json:
    return {
        "name": f"privacy_guard.{tool.name}",
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "annotations": {"readOnlyHint": True},
    }


def _introduction(given: Mapping[str, Json]) -> dict[str, Json]:
    asked = given.get("protocolVersion")
    version = asked if asked in PROTOCOLS else PROTOCOLS[0]
    server: Json = {"name": "cadre-guard", "version": "1"}
    return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}


def _string(given: Mapping[str, Json], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise GuardError("BadInput", f"{name} must be a string", status=400)
    return value


def _problem(status: int, reason: str, message: str) -> web.Response:
    return web.json_response({"reason": reason, "message": message}, status=status)


def _rpc(number: Json, result: dict[str, Json]) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": number, "result": result})


def _rpc_error(number: Json, code: int, message: str, status: int = 200) -> web.Response:
    error = {"code": code, "message": message}
    return web.json_response({"jsonrpc": "2.0", "id": number, "error": error}, status=status)
