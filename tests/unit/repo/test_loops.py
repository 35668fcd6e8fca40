"""The loop of the tests leaves no connection for the garbage collector to find in somebody else's test."""

import asyncio
import gc
import socket
import warnings
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiohttp import web

from tests.support.loops import TidyLoop


async def _server_stops_as_a_client_comes(turns: int) -> socket.socket:
    runner = web.AppRunner(web.Application(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    client = socket.create_connection(runner.addresses[0])
    for _ in range(turns):
        await asyncio.sleep(0)
    await runner.cleanup()
    return client


async def _loop_stops_as_a_client_comes(turns: int) -> socket.socket:
    async with await asyncio.start_server(_read, "127.0.0.1", 0) as server:
        client = socket.create_connection(server.sockets[0].getsockname())
        for _ in range(turns):
            await asyncio.sleep(0)
    return client


async def _loop_stops_before_its_server(turns: int) -> socket.socket:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    client = socket.create_connection(runner.addresses[0])
    for _ in range(turns):
        await asyncio.sleep(0)
    await next(iter(runner.sites)).stop()
    return client


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.read()
    except asyncio.CancelledError:
        writer.close()


STOPS = (_server_stops_as_a_client_comes, _loop_stops_as_a_client_comes, _loop_stops_before_its_server)


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("turns", range(6))
def test_a_client_that_comes_as_the_server_stops_is_hung_up(
    stop: Callable[[int], Coroutine[None, None, socket.socket]], turns: int
) -> None:
    with asyncio.Runner(loop_factory=TidyLoop) as runner:
        client = runner.run(stop(turns))
    _finds_nothing(client)


async def test_a_loop_that_is_closed_while_another_runs_hangs_up_too() -> None:
    loop = TidyLoop()
    with ThreadPoolExecutor(1) as apart:
        stop = _loop_stops_before_its_server(3)
        client = await asyncio.wrap_future(apart.submit(loop.run_until_complete, stop))
    loop.close()
    _finds_nothing(client)


def _finds_nothing(client: socket.socket) -> None:
    """What the garbage collector says of the server's side."""
    with client, warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        gc.collect()
    assert not [str(one.message) for one in seen if "127.0.0.1" in str(one.message)]


async def _a_connection_closes_after_its_last_byte(kept: list[asyncio.Transport]) -> None:
    async def say_much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept.append(writer.transport)
        writer.write(b"x" * 8_000_000)
        writer.close()

    async with await asyncio.start_server(say_much, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert len(await reader.read(-1)) == 8_000_000
        writer.close()
        await writer.wait_closed()


def test_what_has_closed_by_itself_is_left_alone() -> None:
    kept: list[asyncio.Transport] = []
    with asyncio.Runner(loop_factory=TidyLoop) as runner:
        runner.run(_a_connection_closes_after_its_last_byte(kept))
    assert kept[0].is_closing()


async def test_tests_run_on_it() -> None:
    assert isinstance(asyncio.get_running_loop(), TidyLoop)
