"""One masked model call: held while the controller is away, retried before the first byte, never after."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from cadre_guard.controller.client import ControllerClient
from cadre_guard.controller.problems import AWAY_ERRORS, AWAY_STATUSES, problem_of
from cadre_guard.controller.standstill import is_frozen
from cadre_guard.errors import GuardError
from cadre_guard.stream.errors import StreamError
from cadre_guard.turn.turn import Turn

_IDLE_SECONDS = 90.0
"""The controller sends a comment every 5 s: silence this long means that it is gone."""
_PAUSES = (0.5, 1.0, 2.0, 4.0)
_AWAY_PAUSE = 0.5
_PIECE_BYTES = 65536
_MAX_REPLY_BYTES = 16 * 1024 * 1024


@asynccontextmanager
async def model_call(
    controller: ControllerClient, turn: Turn, api: str, body: bytes, trace: dict[str, str]
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The controller's 200 answer, unread. Raises GuardError with the controller's reason."""
    headers = {**_headers(turn, api, body), **trace}
    tries = 0
    while True:
        response = await _attempt(controller, api, body, headers)
        if response is None:
            await _pause(turn, _AWAY_PAUSE)
            continue
        try:
            if response.status == 200:
                controller.standstill.answered()
                yield response
                return
            problem = problem_of(response.status, await response.read())
        finally:
            response.close()
        if is_frozen(problem):
            await controller.standstill.refused()
            continue
        if response.status == 401 and tries == 0:
            controller.identity.forget()
        elif response.status not in AWAY_STATUSES or tries >= len(_PAUSES):
            raise problem
        await _pause(turn, _PAUSES[min(tries, len(_PAUSES) - 1)])
        tries += 1


async def bounded(response: aiohttp.ClientResponse) -> bytes:
    """A whole answer; raises StreamError(ReplyTooLarge) over 16 MiB, before it is all in memory."""
    body = bytearray()
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        body += piece
        if len(body) > _MAX_REPLY_BYTES:
            raise StreamError("ReplyTooLarge", f"a reply exceeds {_MAX_REPLY_BYTES} bytes")
    return bytes(body)


async def _attempt(
    controller: ControllerClient, api: str, body: bytes, headers: dict[str, str]
) -> aiohttp.ClientResponse | None:
    """The answer, or None when the controller is away."""
    try:
        return await controller.open_model_call(api, body, headers, _IDLE_SECONDS)
    except AWAY_ERRORS:
        return None
    except GuardError as error:  # from the token exchange
        if is_frozen(error):
            await controller.standstill.refused()
            return None
        if error.status in AWAY_STATUSES:
            return None
        raise


async def _pause(turn: Turn, seconds: float) -> None:
    if turn.remaining() < seconds:
        raise GuardError("ModelUnavailable", "no model answered before the turn's deadline")
    await asyncio.sleep(seconds * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, guards nothing


def _headers(turn: Turn, api: str, body: bytes) -> dict[str, str]:
    lease = turn.lease
    # the same request again is goose's retry, not a new call: it must not be paid twice
    call = hashlib.sha256(f"{lease.task_id}\n{lease.fence}\n{api}\n".encode() + body).hexdigest()[:32]
    return {
        "Cadre-Task": lease.task_id,
        "Cadre-Session": lease.session_id,
        "Cadre-Fence": str(lease.fence),
        "Cadre-Purpose": "work",
        "Cadre-Call-Id": call,
    }
