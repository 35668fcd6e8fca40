"""The routes of a stand-alone guard: each API at the path its clients expect."""

import time

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from cadre_guard.border import own_words
from cadre_guard.standalone.config import Responses, StandaloneSettings
from cadre_guard.standalone.maps import TokenMaps
from cadre_guard.standalone.masker import StandaloneMasker
from cadre_guard.standalone.metrics import GuardMetrics
from cadre_guard.standalone.proxy import Proxy
from cadre_guard.standalone.redact import Redactor
from cadre_guard.standalone.tools import PrivacyTools, ToolEndpoints
from cadre_guard.standalone.tracing import Tracing
from cadre_guard.wire import dialects
from cadre_guard.wire.dialect import Dialect

MAX_BODY = 16 * 1024 * 1024
_ROUTES: tuple[tuple[str, str, Dialect, str], ...] = (
    ("openai", "/v1/chat/completions", dialects.OPENAI_CHAT, "/chat/completions"),
    ("openai", "/v1/completions", dialects.OPENAI_COMPLETIONS, "/completions"),
    ("openai", "/v1/responses", dialects.OPENAI_RESPONSES, "/responses"),
    ("openai", "/v1/embeddings", dialects.OPENAI_EMBEDDINGS, "/embeddings"),
    ("anthropic", "/v1/messages", dialects.ANTHROPIC_MESSAGES, "/messages"),
    ("ollama", "/api/chat", dialects.OLLAMA_CHAT, "/api/chat"),
    ("ollama", "/api/generate", dialects.OLLAMA_GENERATE, "/api/generate"),
    ("ollama", "/api/embed", dialects.OLLAMA_EMBED, "/api/embed"),
    (
        "gemini",
        "/v1beta/models/{model}:generateContent",
        dialects.GEMINI,
        "/models/{model}:generateContent",
    ),
    (
        "gemini",
        "/v1beta/models/{model}:streamGenerateContent",
        dialects.GEMINI,
        "/models/{model}:streamGenerateContent",
    ),
)
_MODELS = (
    ("openai", "/v1/models", "/models"),
    ("ollama", "/api/tags", "/api/tags"),
    ("ollama", "/api/version", "/api/version"),
)


def standalone_app(
    settings: StandaloneSettings, masker: StandaloneMasker, http: aiohttp.ClientSession, tracing: Tracing
) -> web.Application:
    """All routes; what is not among them is refused, because nobody knows how to read it."""
    redactor = Redactor(settings.rules, masker.token) if settings.responses is Responses.MASK else None
    proxy = Proxy(settings, masker, http, redactor, tracing)
    metrics = GuardMetrics(masker)
    app = web.Application(client_max_size=MAX_BODY, middlewares=[own_words()])
    for family, route, dialect, path in _ROUTES:
        if family in settings.upstreams:
            app.router.add_post(route, _measured(metrics, proxy.serve(family, dialect, path)))
    for family, route, path in _MODELS:
        if family in settings.upstreams:
            app.router.add_get(route, proxy.models(family, path))
    app.router.add_get("/metrics", metrics.serve)
    app.router.add_get("/health", _health)
    ToolEndpoints(PrivacyTools(masker, TokenMaps())).add_to(app)
    return app


def _measured(metrics: GuardMetrics, handler: Handler) -> Handler:
    async def measured(request: web.Request) -> web.StreamResponse:
        started = time.monotonic()
        try:
            return await handler(request)
        finally:
            metrics.observe(request.content_length or 0, time.monotonic() - started)

    return measured


async def _health(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})
