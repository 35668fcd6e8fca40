"""A model server that stamps each delta with the moment it was sent, so that a reader knows its age.

It costs as little CPU as a stream can: one timer per stream and bytes made beforehand. The stamp (nanoseconds
of the monotonic clock, which all processes of a machine share) stands in `system_fingerprint`.
"""

import asyncio
import functools
import json
import random
import time
from dataclasses import asdict, dataclass
from urllib.request import Request, urlopen

import uvloop
from aiohttp import web

from cadre_detect.tokens import TOKEN_RE
from tests.bench import texts
from tests.bench.processes import announce

CHARACTERS = 5
_TOKENS = 4
_STAMP = "STAMP"


@dataclass(frozen=True)
class Plan:
    """`deltas` pieces, one every `pause` seconds; `together` requests wait for each other at first."""

    deltas: int = 1
    pause: float = 0.0
    together: int = 1


def set_plan(port: int, plan: Plan) -> None:
    """Tell a running source how the next streams are to be."""
    body = json.dumps(asdict(plan)).encode()
    urlopen(Request(f"http://127.0.0.1:{port}/plan", body), timeout=10).close()


class Source:
    """Streams as planned; the text repeats tokens of the request. Deltas are spread evenly over a pause."""

    def __init__(self) -> None:
        self._plan = Plan()
        self._waiting = 0
        self._go = asyncio.Event()

    async def plan(self, request: web.Request) -> web.Response:
        """A new plan."""
        self._plan = Plan(**json.loads(await request.read()))
        self._waiting, self._go = 0, asyncio.Event()
        return web.Response()

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """A streamed chat completion."""
        plan, body = self._plan, await request.text()
        tokens = TOKEN_RE.findall(body)[-_TOKENS:] or ["nobody"]
        frames = _frames(reply_text(tokens, plan.deltas * CHARACTERS))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        offset = await self._wait_for_others(plan)
        loop = asyncio.get_running_loop()
        begin = loop.time() + offset
        for number, (head, tail) in enumerate(frames):
            if number or offset:
                await asyncio.sleep(begin + number * plan.pause - loop.time())
            await response.write(head + str(time.monotonic_ns()).encode() + tail)
        await response.write(_last_frame() + b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def _wait_for_others(self, plan: Plan) -> float:
        """Seconds to wait from now on."""
        place = self._waiting
        self._waiting += 1
        if self._waiting % plan.together == 0:
            self._go.set()
            self._go = asyncio.Event()
        else:
            await self._go.wait()
        return plan.pause * (place % plan.together) / plan.together


def reply_text(tokens: list[str], size: int) -> str:
    """What the model says about these tokens, `size` characters."""
    rng = random.Random(3)
    text = ""
    while len(text) < size:
        text += f"{texts.prose_sentence(rng)} Ask {rng.choice(tokens)}. "
    return text[:size]


@functools.lru_cache(maxsize=1024)
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


async def main() -> None:
    """Serve until killed."""
    app = web.Application(client_max_size=16 * 1024 * 1024)
    source = Source()
    app.router.add_post("/plan", source.plan)
    app.router.add_post("/v1/chat/completions", source.chat)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    announce(runner.addresses[0][1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
