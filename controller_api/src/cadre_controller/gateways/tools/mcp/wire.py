"""JSON-RPC 2.0 as MCP speaks it, and the one error that says whether the server may have acted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

JsonObject = dict[str, object]

STATELESS = "2026-07-28"
"""No handshake, no session: every request carries its own envelope."""
HANDSHAKE = "2025-11-25"
"""`initialize`, then a session id on HTTP."""

METHOD_NOT_FOUND = -32601
SESSION_UNKNOWN = 404
MAX_MESSAGE_BYTES = 8 * 1024 * 1024

CLIENT_INFO: JsonObject = {"name": "cadre", "version": "1"}


class McpError(Exception):
    """A tool server did not answer as it must; `sent` says whether it may have acted on the request."""

    def __init__(self, reason: str, message: str, *, sent: bool, code: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.sent = sent
        self.code = code


@dataclass(frozen=True, slots=True)
class ToolInfo:
    """A tool as its server announces it."""

    name: str
    description: str
    input_schema: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer to `tools/call`; an `is_error` result is still an answer: the tool ran."""

    content: tuple[JsonObject, ...]
    structured_content: JsonObject | None = None
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, with what the HTTP transport wants to know about it."""

    message: JsonObject
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """Carries JSON-RPC messages to one server."""

    async def request(self, exchange: Exchange) -> JsonObject:
        """Send and return the response with the same id; raises McpError."""
        ...

    async def notify(self, exchange: Exchange) -> None:
        """Send without an answer; raises McpError."""
        ...

    async def reset(self) -> None:
        """Forget the session; the next request starts anew."""
        ...

    async def close(self) -> None:
        """End the session and everything that belongs to it."""
        ...


def decode(raw: bytes | str) -> JsonObject:
    """One JSON-RPC message; raises McpError when it is none."""
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise McpError("ToolServerGarbage", "the tool server did not answer with JSON", sent=True) from error
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise McpError("ToolServerGarbage", "the tool server's answer is not JSON-RPC 2.0", sent=True)
    return message


def is_response_to(message: JsonObject, request_id: object) -> bool:
    """True for the answer to `request_id`, not for notifications or the server's own requests."""
    return "method" not in message and message.get("id") == request_id


def result_of(message: JsonObject) -> JsonObject:
    """The result of a response; raises McpError for an error response."""
    error = message.get("error")
    if isinstance(error, dict):
        code = error.get("code")
        text = str(error.get("message", ""))[:500]
        raise McpError(
            "ToolServerRefused",
            f"the tool server refused the request: {text}",
            sent=True,
            code=code if isinstance(code, int) else 0,
        )
    result = message.get("result")
    if not isinstance(result, dict):
        raise McpError("ToolServerGarbage", "the tool server's answer has no result", sent=True)
    return result


def tools_of(result: JsonObject) -> tuple[ToolInfo, ...]:
    """The tools of one page of `tools/list`; raises McpError."""
    tools = result.get("tools")
    if not isinstance(tools, list):
        raise McpError("ToolServerGarbage", "tools/list answered without a list of tools", sent=True)
    return tuple(_tool(item) for item in tools)


def _tool(item: object) -> ToolInfo:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise McpError("ToolServerGarbage", "tools/list answered with a tool that has no name", sent=True)
    schema = item.get("inputSchema")
    return ToolInfo(
        name=item["name"],
        description=str(item.get("description", "")),
        input_schema=schema if isinstance(schema, dict) else {},
    )


def tool_result_of(result: JsonObject) -> ToolResult:
    """The result of `tools/call`; raises McpError."""
    content = result.get("content", [])
    structured = result.get("structuredContent")
    if result.get("resultType") == "input_required":
        raise McpError("ToolNeedsInput", "the tool asks for input that an agent cannot give", sent=True)
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise McpError("ToolServerGarbage", "the tool's result has no list of content blocks", sent=True)
    return ToolResult(
        content=tuple(content),
        structured_content=structured if isinstance(structured, dict) else None,
        is_error=result.get("isError") is True,
    )
