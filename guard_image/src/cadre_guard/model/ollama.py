"""Ollama's native API for agents that speak it: passed as it is where a model of the agent's speaks it too,
else translated to OpenAI's and back.

NDJSON has no comments, so while a call waits the agent sees the header and nothing else.
"""

from aiohttp import web
from aiohttp.typedefs import Handler

from cadre_guard.controller.problems import AWAY_ERRORS
from cadre_guard.errors import GuardError
from cadre_guard.model.border import Incoming
from cadre_guard.model.endpoint import ModelEndpoint
from cadre_guard.model.ollama_dialect import now
from cadre_guard.model.ollama_translation import CHAT, EMBED, GENERATE, Translation
from cadre_guard.wire.dialect import Dialect
from cadre_guard.wire.dialects import OLLAMA_CHAT, OLLAMA_EMBED, OLLAMA_GENERATE


class OllamaEndpoint:
    """Handlers for `/api/chat`, `/api/generate`, `/api/embed`, `/api/tags`, `/api/version`."""

    def __init__(self, models: ModelEndpoint) -> None:
        self._models = models
        self._apis: frozenset[str] | None = None
        self.chat = self._serve(OLLAMA_CHAT, CHAT)
        self.generate = self._serve(OLLAMA_GENERATE, GENERATE)
        self.embed = self._serve(OLLAMA_EMBED, EMBED)

    async def tags(self, request: web.Request) -> web.Response:
        """The one alias."""
        alias = self._models.alias
        entry = {"name": alias, "model": alias, "modified_at": now(), "size": 0, "digest": ""}
        return web.json_response({"models": [entry]})

    async def version(self, request: web.Request) -> web.Response:
        """Some clients ask before they speak."""
        return web.json_response({"version": "0.0.0-cadre"})

    def _serve(self, dialect: Dialect, translation: Translation) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            opened = await self._models.open(request, dialect)
            if isinstance(opened, web.Response):
                return opened
            turn, body = opened
            streaming = dialect.streaming(body.document)
            if dialect.api in await self._native():
                return await self._models.answer(request, turn, dialect, body, streaming)
            translated = Incoming(translation.request(body.document, streaming))
            spoken = translation.dialect(self._models.alias)
            return await self._models.answer(request, turn, spoken, translated, streaming)

        return handle

    async def _native(self) -> frozenset[str]:
        """What the agent's models speak; nothing of their own while nobody can say."""
        if self._apis is None:
            try:
                self._apis = await self._models.path.controller.model_apis()
            except (GuardError, *AWAY_ERRORS):
                return frozenset()
        return self._apis
