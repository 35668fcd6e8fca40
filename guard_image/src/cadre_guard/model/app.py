"""The paths of the model endpoint: where each client's SDK expects its dialect."""

from aiohttp import web

from cadre_guard.border import BODY_LIMIT, only_agent, own_words
from cadre_guard.model.endpoint import ModelEndpoint
from cadre_guard.model.gemini import GeminiEndpoint
from cadre_guard.model.ollama import OllamaEndpoint
from cadre_guard.wire.dialects import (
    ANTHROPIC_MESSAGES,
    OPENAI_CHAT,
    OPENAI_COMPLETIONS,
    OPENAI_EMBEDDINGS,
    OPENAI_RESPONSES,
)

_DIALECTS = (
    ("/v1/chat/completions", OPENAI_CHAT),
    ("/v1/completions", OPENAI_COMPLETIONS),
    ("/v1/responses", OPENAI_RESPONSES),
    ("/v1/embeddings", OPENAI_EMBEDDINGS),
    ("/v1/messages", ANTHROPIC_MESSAGES),
)


def model_app(endpoint: ModelEndpoint, prefix: str, secret: str) -> web.Application:
    """Every dialect below a path nobody can guess."""
    app = web.Application(
        client_max_size=BODY_LIMIT, middlewares=[only_agent(secret), own_words(endpoint.unreadable)]
    )
    for path, dialect in _DIALECTS:
        app.router.add_post(f"/{prefix}{path}", endpoint.serve(dialect))
    ollama, gemini = OllamaEndpoint(endpoint), GeminiEndpoint(endpoint)
    app.router.add_get(f"/{prefix}/v1/models", endpoint.models)
    app.router.add_post(f"/{prefix}/api/chat", ollama.chat)
    app.router.add_post(f"/{prefix}/api/generate", ollama.generate)
    app.router.add_post(f"/{prefix}/api/embed", ollama.embed)
    app.router.add_get(f"/{prefix}/api/tags", ollama.tags)
    app.router.add_get(f"/{prefix}/api/version", ollama.version)
    app.router.add_get(f"/{prefix}/v1beta/models", gemini.list)
    app.router.add_post(f"/{prefix}/v1beta/models/{{model}}:{{method}}", gemini.call)
    return app
