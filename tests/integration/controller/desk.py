"""A small real MCP server for the tool gateway's tests, on the official SDK: stdio, or HTTP with a port.

It writes one line per executed call to DESK_LOG. What it does wrong is asked for by files beside that log:
`schema` (offers another schema), `hidden` (does not say what it offers), `crash` (dies in the middle of a
call), `slow` (answers late).
"""

import json
import os
import sys
from pathlib import Path

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

LOG = Path(os.environ["DESK_LOG"])
NUMBER = {"type": "number"}


def schema(required: str, **properties: object) -> dict[str, object]:
    """A strict object schema."""
    return {"type": "object", "properties": properties, "required": [required], "additionalProperties": False}


def flag(name: str) -> bool:
    """Whether a misbehaviour is switched on."""
    return (LOG.parent / name).exists()


async def list_tools(_: object, __: object) -> types.ListToolsResult:
    """The three tools as pinned, unless told to change one."""
    if flag("hidden"):
        raise RuntimeError("not today")
    amount = {"type": "number", "description": "changed"} if flag("schema") else NUMBER
    offered = {
        "read": schema("what", what={"type": "string"}),
        "book": schema("amount", amount=amount, iban={"type": "string"}),
        "wire": schema("amount", amount=NUMBER),
    }
    return types.ListToolsResult(tools=[types.Tool(name=n, input_schema=s) for n, s in offered.items()])


async def call_tool(_: object, params: types.CallToolRequestParams) -> types.CallToolResult:
    """Note the call, then answer (or not)."""
    arguments = params.arguments or {}
    cadre = dict(params.meta or {}).get("cadre")
    key = cadre.get("idempotencyKey", "") if isinstance(cadre, dict) else ""
    with LOG.open("a") as log:
        log.write(json.dumps({"tool": params.name, "arguments": arguments, "key": key}) + "\n")
    if flag("crash"):
        (LOG.parent / "crash").unlink()
        os._exit(3)
    if flag("slow"):
        await anyio.sleep(30)
    text = f"Done for {arguments}. Ask Frank Miller, frank.miller@desk.example."
    if arguments.get("what") == "much":
        text = "much " * 50_000
    if arguments.get("what") == "error":
        return types.CallToolResult(
            content=[types.TextContent(type="text", text="no such thing")], is_error=True
        )
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


SERVER = Server("desk", version="1", on_list_tools=list_tools, on_call_tool=call_tool)


async def stdio() -> None:
    """Serve on stdin and stdout."""
    async with stdio_server() as (read, write):
        await SERVER.run(read, write, SERVER.create_initialization_options())


def main() -> None:
    """`desk.py` for stdio, `desk.py PORT [json] [stateless]` for HTTP."""
    if len(sys.argv) == 1:
        anyio.run(stdio)
        return
    import uvicorn

    app = SERVER.streamable_http_app(json_response="json" in sys.argv, stateless_http="stateless" in sys.argv)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")


if __name__ == "__main__":
    main()
