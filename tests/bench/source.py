"""A model server that stamps each delta with the moment it was sent, so that a reader knows its age.

It costs as little CPU as a stream can: one timer per stream and bytes made beforehand. The stamp (nanoseconds
of the monotonic clock, which all processes of a machine share) stands in `system_fingerprint`.
"""

import asyncio
import json
import random
import sys
import time

import uvloop
from aiohttp import web

from cadre_detect.tokens import TOKEN_RE
from tests.bench import texts
from tests.bench.processes import announce

CHARACTERS = 5
_TOKENS = 4
_STAMP = "STAMP"


class Source:
    """Streams `deltas` pieces, one every `pause` seconds; the text repeats tokens of the request."""

    def __init__(self, deltas: int, pause: float) -> None:
        self._deltas = deltas
        self._pause = pause

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """A streamed chat completion."""
        body = await request.text()
        tokens = TOKEN_RE.findall(body)[-_TOKENS:] or ["nobody"]
        frames = _frames(reply_text(tokens, self._deltas * CHARACTERS))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for number, (head, tail) in enumerate(frames):
            if number:
                await asyncio.sleep(begin + number * self._pause - loop.time())
            await response.write(head + str(time.monotonic_ns()).encode() + tail)
        await response.write(_last_frame() + b"data: [DONE]\n\n")
        await response.write_eof()
        return response


def reply_text(tokens: list[str], size: int) -> str:
    """What the model says about these tokens, `size` characters."""
    rng = random.Random(3)
    text = ""
    while len(text) < size:
        text += f"{texts.prose_sentence(rng)} Ask {rng.choice(tokens)}. "
    return text[:size]


def _frames(text: str) -> list[tuple[bytes, bytes]]:
    pieces = [text[at : at + CHARACTERS] for at in range(0, len(text), CHARACTERS)]
    return [_split(_chunk({"content": piece}, None)) for piece in pieces]


def _split(frame: bytes) -> tuple[bytes, bytes]:
    head, _, tail = frame.partition(_STAMP.encode())
    return head, tail


def _last_frame() -> bytes:
    usage = {"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200}
    return _chunk({}, "stop", usage)


def _chunk(delta: dict[str, str], finish: str | None, usage: dict[str, int] | None = None) -> bytes:
    chunk: dict[str, object] = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "scripted",
        "system_fingerprint": _STAMP,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    chunk |= {"usage": usage} if usage else {}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


async def main(deltas: int, pause: float) -> None:
    """Serve until killed."""
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", Source(deltas, pause).chat)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    announce(runner.addresses[0][1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
