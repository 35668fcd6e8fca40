"""What goes wrong behind a connection ends in the caller's own words, without a byte of it in a log."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from cadre_guard.border import own_words
from cadre_guard.listener import StrangersRunner

VALUE = "hanna.keller@acme.example"


async def _break(request: web.Request) -> web.Response:
    raise RuntimeError(VALUE)


async def _break_late(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"begun")
    raise RuntimeError(VALUE)


@asynccontextmanager
async def _served() -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    app = web.Application(middlewares=[own_words()])
    app.router.add_post("/v1/messages", _break)
    app.router.add_get("/late", _break_late)
    runner = StrangersRunner(app, shutdown_seconds=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as http:
            yield http, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_fault_of_ours_is_told_without_what_it_held(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "cadre_guard"):
        async with _served() as (http, base):
            async with http.post(f"{base}/v1/messages", data=VALUE) as answer:
                told = await answer.json()
            with pytest.raises(aiohttp.ClientError):
                async with http.get(f"{base}/late") as late:
                    await late.read()
    assert (answer.status, told["type"]) == (500, "error")
    assert told["error"]["message"].startswith("GuardFailed")
    failed = [record for record in caplog.records if record.getMessage() == "request failed"]
    assert {record.__dict__["error"] for record in failed} == {"RuntimeError"}
    assert all("_break" in record.__dict__["frames"] for record in failed)
    assert VALUE not in "".join(str(record.__dict__) for record in caplog.records if record in failed)


async def test_a_path_without_a_route_names_what_is_wrong() -> None:
    async with _served() as (http, base):
        async with http.get(f"{base}/api/nothing") as answer:
            assert (answer.status, await answer.json()) == (
                404,
                {"error": "UnknownPath: nothing is served here"},
            )
        async with http.get(f"{base}/v1/messages") as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")
