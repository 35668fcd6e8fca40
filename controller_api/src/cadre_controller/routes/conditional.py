"""Conditional requests (RFC 9110, 13): every JSON resource that can be read has an ETag, so that a reader who
asks again is sent nothing twice, and a writer can say what it has seen.
"""

import hashlib

from aiohttp import web

from cadre_controller.refusals import BadRequest, PreconditionFailed

_MAX_KEY = 200


def etag_of(text: str) -> str:
    """A strong entity tag of a representation."""
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def tagged(request: web.Request, text: str) -> web.Response:
    """JSON with its ETag, or 304 when the reader already has it (If-None-Match)."""
    etag = etag_of(text)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if names(request.headers.get("If-None-Match", ""), etag):
        return web.Response(status=304, headers=headers)
    return web.Response(text=text, headers=headers, content_type="application/json")


def require_match(request: web.Request, text: str | None) -> None:
    """What If-Match and If-None-Match say of the resource as it is now; None = there is none.

    Raises PreconditionFailed.
    """
    match, none_match = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    now = etag_of(text) if text is not None else ""
    if match is not None and not (now and names(match, now)):
        raise PreconditionFailed("If-Match names another state than the present one")
    if none_match is not None and now and names(none_match, now):
        raise PreconditionFailed("If-None-Match: it is there already")


def idempotency_key(request: web.Request) -> str:
    """The Idempotency-Key of a request, empty without one. Raises BadRequest."""
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > _MAX_KEY:
        raise BadRequest(f"Idempotency-Key: is longer than {_MAX_KEY} characters", "send a shorter key")
    return key


def names(header: str, etag: str) -> bool:
    """Whether a list of entity tags, weak ones included, holds this one."""
    listed = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in listed or etag in listed
