"""A small MCP client of our own: the SDK costs 25 times the CPU per call, and we need to know whether a
request was sent.
"""

from cadre_controller.gateways.tools.mcp.client import McpClient
from cadre_controller.gateways.tools.mcp.http import HttpTransport
from cadre_controller.gateways.tools.mcp.stdio import StdioTransport
from cadre_controller.gateways.tools.mcp.wire import McpError, ToolInfo, ToolResult

__all__ = ["HttpTransport", "McpClient", "McpError", "StdioTransport", "ToolInfo", "ToolResult"]
