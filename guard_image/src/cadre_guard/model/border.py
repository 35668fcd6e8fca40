"""What comes in at the model endpoint, before anything is made of it: framing, encoding, size, JSON.

Each refusal is in the caller's wire format, is noted for the audit, and sends nothing anywhere.
"""

from typing import NamedTuple

import aiohttp
from aiohttp import web

from cadre_detect.errors import DetectionError
from cadre_detect.jsonwalk import Json
from cadre_guard.border import BODY_LIMIT
from cadre_guard.wire.body import encode_body, parse_body
from cadre_guard.wire.refusals import Refusals
from cadre_guard.wire.unpack import ENCODINGS, unpack

_PLAIN = frozenset({"", "identity"})
_TYPES = frozenset({"application/json", "application/octet-stream"})
"""`application/octet-stream` is what a request without a content type counts as."""


class BadRequestError(Exception):
    """The request cannot be read; `status` is the HTTP status to answer with."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


class Incoming(NamedTuple):
    """A body as it was read, and its bytes, unpacked; no bytes where the document was made of another one."""

    document: dict[str, Json]
    raw: bytes = b""


async def read_body(request: web.Request) -> Incoming:
    """The request's JSON object; raises BadRequestError."""
    encoding = _check_framing(request)
    try:
        raw = await request.read()
        raw = raw if encoding in _PLAIN else unpack(raw, encoding, BODY_LIMIT)
        return Incoming(parse_body(raw), raw)
    except DetectionError as error:
        status = 413 if error.reason == "BodyTooLarge" else 400
        raise BadRequestError(status, error.reason, str(error)) from None
    except web.HTTPRequestEntityTooLarge:
        raise BadRequestError(413, "BodyTooLarge", "the body is larger than this endpoint takes") from None
    except (aiohttp.ClientPayloadError, web.RequestPayloadError, ValueError):
        raise BadRequestError(400, "BadEncoding", "the body could not be read") from None


def refusal(refusals: Refusals, status: int, reason: str, message: str) -> web.Response:
    """A whole answer that says no."""
    body = encode_body(refusals.body(status, reason, message))
    return web.Response(body=body, status=status, content_type="application/json")


def _check_framing(request: web.Request) -> str:
    """The body's encoding."""
    if "Upgrade" in request.headers:
        raise BadRequestError(400, "UpgradeRefused", "this endpoint speaks plain HTTP/1.1 only")
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _PLAIN | ENCODINGS:
        raise BadRequestError(
            415, "UnsupportedEncoding", "send the body plain, or compressed with gzip or deflate"
        )
    if request.content_type not in _TYPES:
        raise BadRequestError(415, "UnsupportedMediaType", "send application/json")
    return encoding
