"""Sending an answer over HTTP, well or badly: pauses, odd chunk edges, cuts, silence, nonsense."""

import asyncio
import time
from collections.abc import Iterable, Iterator

from aiohttp import web

from cadre_scripted.answer import Answer
from cadre_scripted.conversation import Conversation
from cadre_scripted.dialects import Dialect
from cadre_scripted.scenario import Chunking, Fault

LABEL = {
    "Server": "cadre-scripted",
    "X-Scripted": "answers come from a scenario file; no model is behind this",
}
_NO_FAULT = Fault()
_FOREVER = 3600.0


async def play(
    request: web.Request, dialect: Dialect, answer: Answer, asked: Conversation
) -> web.StreamResponse:
    """Answer a request, with the fault the scenario asks for."""
    await asyncio.sleep(answer.think)
    fault = answer.fault or _NO_FAULT
    if fault.silent:
        await asyncio.sleep(_FOREVER)
    if fault.status:
        return _refusal(dialect, fault)
    if asked.stream:
        return await _stream(request, dialect, answer, asked)
    if fault.garbage or fault.empty:
        return web.Response(text=fault.garbage, content_type="application/json", headers=LABEL)
    if fault.cut_after is not None or fault.hang_after is not None or fault.error_event:
        return await _broken_whole(request, dialect, answer, fault)
    return web.json_response(dialect.whole(answer, time.time()), headers=LABEL)


def _refusal(dialect: Dialect, fault: Fault) -> web.Response:
    headers = LABEL | dict(fault.headers)
    if fault.body:
        return web.Response(status=fault.status, text=fault.body, headers=headers)
    body = dialect.error(fault.status, f"scripted refusal {fault.status}", "Scripted")
    return web.json_response(body, status=fault.status, headers=headers)


async def _stream(
    request: web.Request, dialect: Dialect, answer: Answer, asked: Conversation
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers=LABEL | {"Content-Type": dialect.stream_type, "Cache-Control": "no-cache"}
    )
    await response.prepare(request)
    fault = answer.fault or _NO_FAULT
    limit = fault.cut_after if fault.cut_after is not None else fault.hang_after
    frames = _frames(dialect, answer, asked, fault)
    for count, frame in enumerate(_cut_into_bytes(frames, answer.chunking)):
        if count == limit:
            return await _stop_short(request, response, fault)
        await response.write(frame)
        if answer.chunking.delay:
            await asyncio.sleep(answer.chunking.delay)
    await response.write_eof()
    return response


def _frames(dialect: Dialect, answer: Answer, asked: Conversation, fault: Fault) -> Iterable[bytes]:
    if fault.empty:
        return ()
    if fault.garbage:
        return (fault.garbage.encode(),)
    if fault.error_event:
        return (dialect.error_frame(fault.error_event),)
    return dialect.frames(answer, asked, time.time())


def _cut_into_bytes(frames: Iterable[bytes], chunking: Chunking) -> Iterator[bytes]:
    if not chunking.bytes:
        yield from frames
        return
    whole = b"".join(frames)
    for start in range(0, len(whole), chunking.bytes):
        yield whole[start : start + chunking.bytes]


async def _broken_whole(
    request: web.Request, dialect: Dialect, answer: Answer, fault: Fault
) -> web.StreamResponse:
    """Announce a body and send half of it."""
    response = web.StreamResponse(
        headers=LABEL | {"Content-Type": "application/json", "Content-Length": "4096"}
    )
    await response.prepare(request)
    await response.write(b'{"id": "scripted", ')
    return await _stop_short(request, response, fault)


async def _stop_short(request: web.Request, response: web.StreamResponse, fault: Fault) -> web.StreamResponse:
    if fault.hang_after is not None:
        await asyncio.sleep(_FOREVER)
    if request.transport is not None:
        request.transport.close()
    return response
