"""Who may knock at an endpoint that the agent reaches."""

import secrets

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

BODY_LIMIT = 16 * 1024 * 1024
"""Bytes of a request's body, decompressed."""
_CREDENTIALS = ("Authorization", "x-api-key", "x-goog-api-key")
"""Where clients of the various dialects put their key."""


def runner_of(app: web.Application, shutdown_seconds: float) -> web.AppRunner:
    """A server for strangers: a request whose client has gone is over (a cancelled turn must not leave a tool
    call behind), and what is compressed is unpacked by who reads it, within bounds.
    """
    return web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=shutdown_seconds,
        auto_decompress=False,
    )


def only_agent(secret: str) -> Middleware:
    """Where no network namespace can be had, others on this machine may connect: they lack this secret."""
    expected = secret.encode()

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = next((request.headers[name] for name in _CREDENTIALS if name in request.headers), "")
        shown = given.removeprefix("Bearer ").encode()
        if not secrets.compare_digest(shown, expected) or "Origin" in request.headers:
            body = {"error": {"message": "not for you", "code": "Unauthorized"}}
            return web.json_response(body, status=403)
        return await handler(request)

    return check
