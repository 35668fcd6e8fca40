"""Who may knock at an endpoint that the agent reaches."""

import secrets

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from cadre_guard.listener import Note, nobody
from cadre_guard.wire.body import encode_body
from cadre_guard.wire.families import refusals_at

BODY_LIMIT = 16 * 1024 * 1024
"""Bytes of a request's body, decompressed."""
_CREDENTIALS = ("Authorization", "x-api-key", "x-goog-api-key")
"""Where clients of the various dialects put their key."""


def own_words(note: Note = nobody) -> Middleware:
    """What no route takes is refused in the form of the API that it names."""

    def refused(request: web.Request, status: int, reason: str, message: str) -> web.Response:
        note(reason, request.headers.get("agent-session-id", ""))
        body = encode_body(refusals_at(request.raw_path).body(status, reason, message))
        response = web.Response(body=body, status=status, content_type="application/json")
        response.force_close()
        return response

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.raw_path.startswith("/"):
            message = "this endpoint is no proxy: send a path, not a whole URL"
            return refused(request, 400, "ProxyRequest", message)
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return refused(request, 404, "UnknownPath", "nothing is served here")
        except web.HTTPMethodNotAllowed as error:
            response = refused(request, 405, "WrongMethod", "this path is not served by this method")
            response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
            return response

    return check


def only_agent(secret: str) -> Middleware:
    """Where no network namespace can be had, others on this machine may connect: they lack this secret."""
    expected = secret.encode()

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = next((request.headers[name] for name in _CREDENTIALS if name in request.headers), "")
        shown = given.removeprefix("Bearer ").encode()
        if not secrets.compare_digest(shown, expected) or "Origin" in request.headers:
            words = refusals_at(request.raw_path)
            response = web.json_response(words.body(403, "Unauthorized", "not for you"), status=403)
            response.force_close()
            return response
        return await handler(request)

    return check
