"""Gemini's native API for agents that speak it: the method is part of the path, streams are events
(`alt=sse`, as every SDK asks).
"""

from aiohttp import web

from cadre_guard.model.border import refusal
from cadre_guard.model.endpoint import ModelEndpoint
from cadre_guard.wire.dialects import GEMINI

_WHOLE, _STREAM = "generateContent", "streamGenerateContent"


class GeminiEndpoint:
    """Handlers for `/v1beta/models/{model}:{method}` and the list of models."""

    def __init__(self, models: ModelEndpoint) -> None:
        self._models = models

    async def list(self, request: web.Request) -> web.Response:
        """The one alias."""
        entry = {"name": f"models/{self._models.alias}", "supportedGenerationMethods": [_WHOLE, _STREAM]}
        return web.json_response({"models": [entry]})

    async def call(self, request: web.Request) -> web.StreamResponse:
        """One of the two methods we know."""
        method = request.match_info["method"]
        if method not in (_WHOLE, _STREAM):
            return refusal(GEMINI.refusals, 404, "UnknownMethod", f"only {_WHOLE} and {_STREAM} are here")
        if method == _STREAM and request.query.get("alt") != "sse":
            return refusal(GEMINI.refusals, 400, "UnknownFraming", "ask for server-sent events: ?alt=sse")
        opened = await self._models.open(request, GEMINI)
        if isinstance(opened, web.Response):
            return opened
        turn, body = opened
        streaming = method == _STREAM
        return await self._models.answer(request, turn, GEMINI, body, streaming, f"gemini/{method}")
