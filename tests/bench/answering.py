"""A model server that answers at once, in one piece, and counts what should not have reached it."""

import asyncio
import json

import uvloop
from aiohttp import web

from tests.bench.processes import announce

_REPEATED = 120


class Answering:
    """Repeats the beginning of what it was told."""

    def __init__(self) -> None:
        self._requests = 0
        self._with_address = 0

    async def chat(self, request: web.Request) -> web.Response:
        """A chat completion."""
        body = await request.json()
        said = str(body["messages"][-1]["content"])
        self._requests += 1
        self._with_address += "@" in said
        message = {"role": "assistant", "content": f"You said: {said[:_REPEATED]}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "bench"}
        return web.json_response({**answer, "choices": [choice], "usage": usage})

    async def seen(self, _request: web.Request) -> web.Response:
        """How many requests came since it was last asked, and how many of them with a mail address."""
        counts, self._requests, self._with_address = (self._requests, self._with_address), 0, 0
        return web.Response(text=json.dumps(counts))


async def main() -> None:
    """Serve until killed."""
    app = web.Application(client_max_size=16 * 1024 * 1024)
    model = Answering()
    app.router.add_post("/v1/chat/completions", model.chat)
    app.router.add_get("/seen", model.seen)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    announce(runner.addresses[0][1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
