"""The paths of the tool endpoint."""

from aiohttp import web

from cadre_guard.border import BODY_LIMIT, only_agent, own_words
from cadre_guard.mcp.endpoint import ToolEndpoint
from cadre_guard.mcp.privacy import PrivacyEndpoint


def tool_app(endpoint: ToolEndpoint, privacy: PrivacyEndpoint, prefix: str, secret: str) -> web.Application:
    """The tools below a path nobody can guess."""
    app = web.Application(client_max_size=BODY_LIMIT, middlewares=[only_agent(secret), own_words()])
    app.router.add_post(f"/{prefix}/mcp", endpoint.post)
    app.router.add_get(f"/{prefix}/mcp", endpoint.refuse_stream)
    app.router.add_post(f"/{prefix}/v1/privacy/{{tool}}", privacy.post)
    app.router.add_get(f"/{prefix}/openapi.json", privacy.openapi)
    return app
