"""A tool server (MCP over stdio) that writes down every call it gets, so that a test can read what a tool
really received.

Environment: DESK_FILE, one JSON line a call.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

Json = dict[str, object]
CUSTOMERS: dict[str, Json] = {
    "C-100": {
        "name": "Jonathan Whitfield",
        "mail": "jon.whitfield@northlight.example",
        "iban": "DE02120300000000202051",
    },
    "C-200": {"name": "Zoë Müller-Østergård", "mail": "zoe@fjord.example", "iban": "DE02500105170137075030"},
}
_TEXT: Json = {"type": "string"}
_FILLER = "2026-11-02T08:15:00Z INFO worker finished its round without anything to report\n"


def _schema(*required: str, **properties: Json) -> Json:
    all_of_them = {"ref": _TEXT, **properties}
    return {
        "type": "object",
        "properties": all_of_them,
        "required": ["ref", *required],
        "additionalProperties": False,
    }


def send(given: Mapping[str, object]) -> tuple[object, bool]:
    """Echoes whom it wrote to."""
    return f"sent to {given['to']}", False


def save(given: Mapping[str, object]) -> tuple[object, bool]:
    """Answers what it saved."""
    return {"saved": given["record"]}, False


def find(given: Mapping[str, object]) -> tuple[object, bool]:
    """A customer by number."""
    return CUSTOMERS[str(given["customer"])], False


def export(given: Mapping[str, object]) -> tuple[object, bool]:
    """A long log with two customers in the middle of it."""
    people = [f"{person['name']} <{person['mail']}>\n" for person in CUSTOMERS.values()]
    return _FILLER * 300 + people[0] + _FILLER * 300 + people[1] + _FILLER * 20 + "end of log", False


def refuse(given: Mapping[str, object]) -> tuple[object, bool]:
    """An error that quotes what it was given."""
    return f"no mailbox for {given['to']}", True


TOOLS: dict[str, tuple[Callable[[Mapping[str, object]], tuple[object, bool]], Json]] = {
    "send": (send, _schema("to", to=_TEXT, subject=_TEXT, body=_TEXT)),
    "save": (save, _schema("record", record={"type": "object"})),
    "find": (find, _schema("customer", customer=_TEXT)),
    "export": (export, _schema()),
    "refuse": (refuse, _schema("to", to=_TEXT)),
}


def description(name: str) -> str:
    """What the server says of a tool, the same as what the chart pins."""
    return (TOOLS[name][0].__doc__ or "").strip()


async def _list_tools(_: object, __: object) -> types.ListToolsResult:
    tools = [types.Tool(name=n, description=description(n), input_schema=TOOLS[n][1]) for n in TOOLS]
    return types.ListToolsResult(tools=tools)


async def _call_tool(_: object, params: types.CallToolRequestParams) -> types.CallToolResult:
    arguments = params.arguments or {}
    line = json.dumps({"tool": params.name, "arguments": arguments})
    with Path(os.environ["DESK_FILE"]).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    value, failed = TOOLS[params.name][0](arguments)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    structured = value if isinstance(value, dict) else None
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=text)]
    return types.CallToolResult(content=content, is_error=failed, structured_content=structured)


async def main() -> None:
    """Serve on stdin and stdout until the other side closes."""
    server: Server[Json] = Server("desk", version="1", on_list_tools=_list_tools, on_call_tool=_call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
