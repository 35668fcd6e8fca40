"""Workflows from the command line: begun, shown to whom they belong, ended, repeated."""

import asyncio
import json

import pytest

from cadre_local.cli.program import run
from cadre_local.errors import Exit
from tests.integration.controller.stand import Stand, until


class Desk:
    """Somebody at the command line."""

    def __init__(self, stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
        self.stand = stand
        self._capsys = capsys

    async def cadre(self, *arguments: str, by: str = "bruno") -> tuple[int, str]:
        """Exit code and what was printed."""
        server = ("--server", f"http://127.0.0.1:{self.stand.serving.public_port}")
        self._capsys.readouterr()
        code = await asyncio.to_thread(run, [*server, "--as", by, "workflow", *arguments])
        return code, self._capsys.readouterr().out

    async def begin(self, *arguments: str) -> str:
        """The id of a new run."""
        code, out = await self.cadre("run", "count", "--param", "what=eggs", *arguments, "-o", "name")
        assert code == 0, out
        return out.strip()

    async def answer(self, result: str) -> str:
        """The agent does its task; returns what it was told."""
        held = await self.stand.claim()
        body = held.about(result=result)
        reply = await held.guard.post(f"/guard/v1/leases/{held.task}/complete", body)
        assert reply.status < 300, reply.text
        return str(held.lease["prompt"])

    async def state(self, execution: str, wanted: str) -> None:
        """Wait until a run is so."""
        peer = await self.stand.person("bruno")

        async def look() -> bool:
            return (await peer.get(f"/api/v1/executions/{execution}"))["state"] == wanted

        await until(look, 60)


@pytest.fixture
def desk(stand: Stand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    monkeypatch.setenv("CADRE_HOME", str(stand.root))
    return Desk(stand, capsys)


async def test_a_run_is_begun_waited_for_and_shown(desk: Desk) -> None:
    code, out = await desk.cadre("list")
    assert code == 0 and "what:String most?:Integer" in out
    execution = await desk.begin("--key", "k")
    assert await desk.begin("--key", "k") == execution
    assert await desk.answer("7") == "Count eggs!"
    code, out = await desk.cadre("wait", execution, "-o", "json")
    assert (code, json.loads(out)["result"]) == (0, {"sum": 12})
    code, out = await desk.cadre("show", execution)
    assert code == 0 and "ask" in out and "Succeeded" in out and '"sum": 12' in out
    code, out = await desk.cadre("list", "--of", "count", "--state", "Succeeded")
    assert code == 0 and execution in out


async def test_a_failed_run_is_repeated_from_a_step(desk: Desk) -> None:
    execution = await desk.begin()
    await desk.answer("many")
    code, out = await desk.cadre("wait", execution)
    assert code == Exit.TASK_FAILED and "ExpressionError" in out
    assert (await desk.cadre("retry", execution, "--from", "nope"))[0] == Exit.REFUSED
    assert (await desk.cadre("retry", execution, "--from", "ask"))[0] == 0
    await desk.answer("3")
    await desk.state(execution, "Succeeded")
    code, out = await desk.cadre("show", execution)
    assert "(round 2)" in out and '"sum": 8' in out


async def test_bad_input_and_strangers(desk: Desk) -> None:
    assert (await desk.cadre("run", "count"))[0] == Exit.REFUSED
    assert (await desk.cadre("run", "count", "--param", "what=x", "--param", "most=all"))[0] == Exit.REFUSED
    assert (await desk.cadre("run", "nope"))[0] == Exit.REFUSED
    execution = await desk.begin()
    assert (await desk.cadre("wait", execution, "--timeout", "0"))[0] == Exit.TIMED_OUT
    for command in (("show",), ("cancel",), ("retry", "--from", "ask")):
        assert (await desk.cadre(command[0], execution, *command[1:], by="clara"))[0] == Exit.REFUSED
    clara = await desk.stand.person("clara")
    assert (await clara.get("/api/v1/executions"))["items"] == []
    assert (await clara.get("/api/v1/workflows/count"))["name"] == "co/count"
    long = await clara.post("/api/v1/workflows/count/execute", {}, Idempotency_Key="k" * 201)
    assert long.status == 400
    code, out = await desk.cadre("run", "count", "--param", "what=x", "--wait", "--timeout", "0")
    assert code == Exit.TIMED_OUT
    code, out = await desk.cadre("cancel", execution)
    assert code == 0 and "Cancelled" in out
    code, out = await desk.cadre("list", "--runs")
    assert code == 0 and "CancelledByRequester" in out
