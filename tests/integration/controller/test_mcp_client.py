"""Our MCP client against the official server, over every transport and protocol era it speaks."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest
from aiohttp import web

from cadre_controller.gateways.tools.mcp import HttpTransport, McpClient, McpError, StdioTransport
from tests.integration.controller.stand import HERE, Stand
from tests.integration.controller.test_ports import assert_problem
from tests.support.ports import free_port

DESK = [sys.executable, str(HERE / "desk.py")]


@contextmanager
def desk(root: Path, *modes: str) -> Iterator[str]:
    """The server over HTTP; the URL of its endpoint."""
    port = free_port()
    env = {**os.environ, "DESK_LOG": str(root / "log")}
    process = subprocess.Popen([*DESK, str(port), *modes], env=env, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


async def answering(url: str) -> None:
    host, port = url.removeprefix("http://").removesuffix("/mcp").split(":")
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
                writer.close()
                return await writer.wait_closed()
            except OSError:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("modes", [(), ("json",), ("stateless",), ("json", "stateless")])
@pytest.mark.parametrize("stateless_client", [True, False])
async def test_every_http_server_is_understood(
    tmp_path: Path, modes: tuple[str, ...], stateless_client: bool
) -> None:
    with desk(tmp_path, *modes) as url:
        await answering(url)
        async with aiohttp.ClientSession() as http:
            client = McpClient(HttpTransport(http, url, {}), probe_stateless=stateless_client)
            tools = {tool.name: tool for tool in await client.list_tools()}
            assert set(tools) == {"read", "book", "wire"} and tools["read"].input_schema["required"] == [
                "what"
            ]
            meta = {"cadre": {"idempotencyKey": "k1"}}
            results = await asyncio.gather(
                *(client.call_tool("read", {"what": str(n)}, meta, 20) for n in range(5))
            )
            assert all("Done for" in str(result.content[0]["text"]) for result in results)
            assert (await client.call_tool("read", {"what": "error"}, {}, 20)).is_error
            await client.close()
    keys = {json.loads(line)["key"] for line in (tmp_path / "log").read_text().splitlines()}
    assert keys == {"k1", ""}


async def test_a_session_that_the_server_forgot_is_begun_anew(tmp_path: Path) -> None:
    with desk(tmp_path) as url:
        await answering(url)
        async with aiohttp.ClientSession() as http:
            transport = HttpTransport(http, url, {})
            client = McpClient(transport, probe_stateless=False)
            await client.list_tools()
            transport._session_id = "0" * 32
            assert not (await client.call_tool("read", {"what": "x"}, {}, 20)).is_error
            await client.close()


def stdio(root: Path) -> StdioTransport:
    return StdioTransport(DESK, {**os.environ, "DESK_LOG": str(root / "log")})


async def test_a_child_process_answers_many_calls_and_ends(tmp_path: Path) -> None:
    transport = stdio(tmp_path)
    client = McpClient(transport)
    results = await asyncio.gather(*(client.call_tool("read", {"what": str(n)}, {}, 30) for n in range(10)))
    assert len(results) == 10
    process = transport._process
    assert process is not None
    await client.close()
    assert process.returncode is not None


async def test_a_child_that_dies_in_a_call_may_have_acted_and_is_started_again(tmp_path: Path) -> None:
    client = McpClient(stdio(tmp_path))
    (tmp_path / "crash").touch()
    with pytest.raises(McpError) as broken:
        await client.call_tool("wire", {"amount": 1}, {}, 30)
    assert broken.value.sent
    assert not (await client.call_tool("read", {"what": "x"}, {}, 30)).is_error
    await client.close()


async def test_a_slow_child_is_given_up_and_still_usable(tmp_path: Path) -> None:
    client = McpClient(stdio(tmp_path))
    await client.list_tools()
    (tmp_path / "slow").touch()
    with pytest.raises(McpError) as slow:
        await client.call_tool("read", {"what": "x"}, {}, 0.5)
    assert (slow.value.reason, slow.value.sent) == ("ToolTimeout", True)
    (tmp_path / "slow").unlink()
    assert not (await client.call_tool("read", {"what": "y"}, {}, 30)).is_error
    await client.close()


async def test_a_command_that_keeps_ending_is_not_started_at_once_again() -> None:
    client = McpClient(StdioTransport([sys.executable, "-c", "print('no json', flush=True)"], {}))
    reasons = []
    for _ in range(6):
        with pytest.raises(McpError) as broken:
            await client.list_tools(5)
        reasons.append(str(broken.value))
    assert any("keeps ending" in reason for reason in reasons)
    await client.close()


@asynccontextmanager
async def serving(answer: Callable[[dict[str, object]], web.StreamResponse]) -> AsyncIterator[McpClient]:
    """A client of a server that answers as the test says."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return answer(await request.json())

    app = web.Application()
    app.router.add_post("/mcp", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
        yield McpClient(HttpTransport(http, url, {"Authorization": "Bearer x"}), probe_stateless=False)
    await runner.cleanup()


def rpc(message: dict[str, object], result: object) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": message.get("id"), "result": result})


@pytest.mark.parametrize(
    ("answer", "reason", "sent"),
    [
        (lambda m: web.Response(text="<html>", content_type="text/html"), "ToolServerGarbage", True),
        (lambda m: web.json_response([1]), "ToolServerGarbage", True),
        (lambda m: web.json_response({"jsonrpc": "2.0", "id": 99, "result": {}}), "ToolServerGarbage", True),
        (lambda m: rpc(m, "text"), "ToolServerGarbage", True),
        (lambda m: rpc(m, {"tools": "none"}), "ToolServerGarbage", True),
        (lambda m: rpc(m, {"tools": [{"description": "nameless"}]}), "ToolServerGarbage", True),
        (lambda m: rpc(m, {"tools": [], "nextCursor": "again"}), "ToolServerGarbage", True),
        (lambda m: web.Response(status=401), "ToolServerUnauthorized", False),
        (lambda m: web.Response(status=500), "ToolServerFailed", True),
        (lambda m: web.Response(status=302, headers={"Location": "http://x/"}), "ToolServerFailed", False),
        (
            lambda m: web.json_response(
                {"jsonrpc": "2.0", "id": m.get("id"), "error": {"code": -32603, "message": "no"}}
            ),
            "ToolServerRefused",
            True,
        ),
        (
            lambda m: web.Response(text="data: {}\n\n", content_type="text/event-stream"),
            "ToolServerGarbage",
            True,
        ),
        (lambda m: web.Response(text=": bye\n\n", content_type="text/event-stream"), "ToolServerCut", True),
    ],
)
async def test_a_server_that_answers_nonsense_is_told_apart(
    answer: Callable[[dict[str, object]], web.Response], reason: str, sent: bool
) -> None:
    async with serving(lambda m: rpc(m, {}) if m["method"] != "tools/list" else answer(m)) as client:
        with pytest.raises(McpError) as broken:
            await client.list_tools(5)
    assert (broken.value.reason, broken.value.sent) == (reason, sent)


async def test_an_event_stream_may_carry_other_messages_first() -> None:
    def answer(message: dict[str, object]) -> web.Response:
        note = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}
        found = {"jsonrpc": "2.0", "id": message.get("id"), "result": {"tools": []}}
        head = f": hi\r\nid: 1\r\ndata:\r\n\r\ndata: {json.dumps(note)}\r\n\r\n"
        text = f"{head}event: message\r\ndata: {json.dumps(found)}\r\n\r\n"
        return web.Response(text=text, content_type="text/event-stream")

    async with serving(answer) as client:
        assert await client.list_tools() == ()


async def test_nobody_there_means_certainly_not_sent() -> None:
    async with aiohttp.ClientSession() as http:
        for url in (f"http://127.0.0.1:{free_port()}/mcp", "http://[nonsense/mcp"):
            with pytest.raises(McpError) as broken:
                await McpClient(HttpTransport(http, url, {})).list_tools()
            assert (broken.value.reason, broken.value.sent) == ("ToolServerUnreachable", False)


async def test_the_gateway_uses_an_http_server_with_its_credential(stand: Stand, tmp_path: Path) -> None:
    with desk(stand.root / "desk", "json") as url:
        await answering(url)
        text = f"http: {{url: '{url}'}}\n  credentialsRef: {{secret: {{name: desk, key: token}}}}"
        assert (await stand.apply(desk=text)).status == 200
        held = await stand.held()
        assert_problem(await held.tool("desk_read", {"what": "x"}), 403, "CredentialMissing")
        stand.runtime.services.keystore.put_secret("secret/desk/token", "t0ken")
        reply = await held.tool("desk_read", {"what": "x"}, "t2")
        assert reply["isError"] is False, reply.text
        assert len(stand.desk_calls()) == 1


async def test_a_child_whose_start_is_cancelled_is_known_and_ends(tmp_path: Path) -> None:
    for turns in range(4):
        client = McpClient(stdio(tmp_path))
        starting = asyncio.create_task(client.connect())
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await client.close()
    assert not [child for child in psutil.Process().children() if "desk.py" in " ".join(child.cmdline())]
