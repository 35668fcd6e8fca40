"""Refusals of the controller as our one error type."""

import asyncio

import aiohttp

from cadre_guard.errors import GuardError, LeaseLostError
from cadre_guard.jsonvalue import as_text, parse_object

AWAY_STATUSES = frozenset({429, 500, 502, 503, 504})
"""Answers after which the same request may be sent again."""

AWAY_ERRORS = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, asyncio.TimeoutError)
"""The controller is restarting or unreachable."""


def problem_of(status: int, body: bytes) -> GuardError:
    """The error of an RFC 9457 body; a body that is none still gives the status."""
    problem = parse_object(body) or {}
    reason = as_text(problem.get("reason")) or f"Http{status}"
    if reason == "LeaseLost":
        return LeaseLostError()
    message = as_text(problem.get("detail")) or as_text(problem.get("title")) or f"HTTP {status}"
    return GuardError(reason, message, retryable=status in AWAY_STATUSES, status=status)
