"""Whose words a path expects: a request that nobody could read is refused in the form of the API it names."""

from typing_extensions import override

from cadre_detect.jsonwalk import Json
from cadre_guard.wire.refusals import (
    AnthropicRefusals,
    GeminiRefusals,
    OllamaRefusals,
    OpenAIRefusals,
    Refusals,
)

_PARSE_ERROR = -32700


class RpcRefusals(OpenAIRefusals):
    """JSON-RPC 2.0, as MCP has it."""

    @override
    def body(self, status: int, reason: str, message: str) -> Json:
        """An error to a message whose id is not known."""
        error: Json = {"code": _PARSE_ERROR, "message": f"{reason}: {message}"}
        return {"jsonrpc": "2.0", "id": None, "error": error}


_FAMILIES: tuple[tuple[str, Refusals], ...] = (
    ("/v1/messages", AnthropicRefusals()),
    ("/v1beta/", GeminiRefusals()),
    ("/api/", OllamaRefusals()),
    ("/mcp", RpcRefusals()),
)
_OTHERS = OpenAIRefusals()


def refusals_at(path: str) -> Refusals:
    """The words of the API at a path, or at a whole URL; OpenAI's where it names none."""
    return next((words for part, words in _FAMILIES if part in path), _OTHERS)
