"""JSON-RPC with an agent: answers find their calls, strangers' lines do no harm, the end ends all."""

import asyncio
import json

import pytest

from cadre_guard.acp.client import AcpClient, GatewayAddress
from cadre_guard.acp.connection import AcpConnection, AcpError
from cadre_guard.errors import GuardError
from cadre_guard.jsonvalue import JsonObject


class _Agent:
    """The other end of the pipes, in the test's hand."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.said: list[JsonObject] = []
        self.notified: list[str] = []
        self.connection = AcpConnection(self.reader, self, self._on_request, self._on_notification)
        self.task = asyncio.create_task(self.connection.run())

    def write(self, data: bytes) -> None:
        self.said.append(json.loads(data))

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def say(self, message: object) -> None:
        self.reader.feed_data(json.dumps(message).encode() + b"\n")

    async def answer(self, result: JsonObject) -> None:
        while not self.said:
            await asyncio.sleep(0)
        self.say({"jsonrpc": "2.0", "id": self.said.pop(0)["id"], "result": result})

    async def _on_request(self, method: str, params: JsonObject) -> JsonObject:
        if method == "boom":
            raise GuardError("Refused", "no")
        if method != "ask":
            raise LookupError(method)
        return {"echo": params}

    def _on_notification(self, method: str, params: JsonObject) -> None:
        self.notified.append(method)


async def test_answers_find_their_calls_in_any_order() -> None:
    agent = _Agent()
    first = asyncio.create_task(agent.connection.call("one", {}, 5))
    second = asyncio.create_task(agent.connection.call("two", {}, 5))
    while len(agent.said) < 2:
        await asyncio.sleep(0)
    for message in reversed(agent.said):
        agent.say({"id": message["id"], "result": {"method": message["method"]}})

    assert (await first, await second) == ({"method": "one"}, {"method": "two"})


async def test_an_error_answer_carries_its_code_and_not_its_words() -> None:
    agent = _Agent()
    call = asyncio.create_task(agent.connection.call("one", {}, 5))
    while not agent.said:
        await asyncio.sleep(0)
    agent.say({"id": 1, "error": {"code": -32000, "message": "about Hanna Keller"}})

    with pytest.raises(AcpError) as caught:
        await call
    assert caught.value.code == -32000
    assert "Keller" not in caught.value.message


async def test_lines_that_are_no_messages_are_passed_over() -> None:
    agent = _Agent()
    agent.reader.feed_data(b"starting up...\n[1]\n")
    agent.say({"id": 99, "result": {}})
    agent.say({"id": "odd", "result": {}})
    agent.say({"method": "session/update", "params": {}})
    while not agent.notified:
        await asyncio.sleep(0)

    assert agent.notified == ["session/update"]


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("ask", {"result": {"echo": {"a": 1}}}),
        ("fs/read_text_file", {"error": {"code": -32601, "message": "not supported"}}),
        ("boom", {"error": {"code": -32000, "message": "Refused"}}),
    ],
)
async def test_requests_of_the_agent_are_answered(method: str, answer: JsonObject) -> None:
    agent = _Agent()
    agent.say({"id": "r1", "method": method, "params": {"a": 1}})
    while not agent.said:
        await asyncio.sleep(0)

    assert agent.said == [{"jsonrpc": "2.0", "id": "r1", **answer}]


async def test_the_end_of_the_agent_fails_open_calls_and_later_ones() -> None:
    agent = _Agent()
    call = asyncio.create_task(agent.connection.call("one", {}, 5))
    while not agent.said:
        await asyncio.sleep(0)
    agent.reader.feed_eof()

    for attempt in (call, agent.connection.call("two", {}, 5)):
        with pytest.raises(GuardError) as caught:
            await attempt
        assert caught.value.reason == "AgentCrashed"


async def test_no_answer_in_time_means_stuck() -> None:
    with pytest.raises(GuardError) as caught:
        await _Agent().connection.call("one", {}, 0.01)

    assert caught.value.reason == "AgentStuck"


@pytest.mark.parametrize(
    "results",
    [
        [],
        [{"name": "gw", "success": False, "error": "refused"}],
        [{"name": "gw", "success": True}, {"name": "developer", "success": True}],
        [{"name": "developer", "success": True}],
    ],
)
async def test_a_session_with_other_tools_than_ours_is_refused(results: list[JsonObject]) -> None:
    agent = _Agent()
    client = AcpClient(agent.connection)
    opening = asyncio.create_task(client.new_session("/work", GatewayAddress("http://x/mcp", {"A": "b"})))
    while not agent.said:
        await asyncio.sleep(0)
    server = {"type": "http", "name": "gw", "url": "http://x/mcp", "headers": [{"name": "A", "value": "b"}]}
    assert agent.said[0]["params"] == {"cwd": "/work", "mcpServers": [server]}
    await agent.answer({"sessionId": "s", "_meta": {"extensionResults": results}})

    with pytest.raises(GuardError) as caught:
        await opening
    assert caught.value.reason == "GatewayNotLoaded"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"protocolVersion": 2}, "AgentIncompatible"),
        ({"protocolVersion": 1, "agentInfo": {"name": "goose", "version": "9"}}, ""),
    ],
)
async def test_the_handshake_needs_the_protocol_we_speak(answer: JsonObject, reason: str) -> None:
    agent = _Agent()
    client = AcpClient(agent.connection)
    hello = asyncio.create_task(client.initialize())
    await agent.answer(answer)

    if reason:
        with pytest.raises(GuardError) as caught:
            await hello
        assert caught.value.reason == reason
    else:
        await hello
        assert client.agent_version == "goose 9"
