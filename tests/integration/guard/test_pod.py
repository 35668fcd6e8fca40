"""A guard in a pod: the agent is a container beside it, started and restarted by somebody else."""

import asyncio
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.integration.guard.conftest import eventually
from tests.integration.guard.controller_stub import Controller, says, streams, text_events, tool, wants
from tests.integration.guard.pod import PodOnHost, build_shim, goose_serve, pod_on_host

pytestmark = pytest.mark.goose


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built program."""
    return build_shim(tmp_path_factory.mktemp("build"))


@pytest_asyncio.fixture
async def pod(controller: Controller, shim: Path, goose: Path, tmp_path: Path) -> AsyncIterator[PodOnHost]:
    """A pod of goose, not started."""
    async with pod_on_host(controller, tmp_path, shim) as it:
        it.command = goose_serve(goose, tmp_path, it.ports["agent"])
        yield it


async def works(pod: PodOnHost, task: str) -> None:
    """One turn from prompt to result."""
    pod.controller.models = [says(f"done {task}")]
    pod.controller.submit("Write.", task=task)
    end, outcome = await pod.controller.outcome()
    assert (end, outcome.get("result")) == ("complete", f"done {task}"), outcome


def keys(pod: PodOnHost) -> str:
    """The hand-shake file as it is."""
    return pod.env_file.read_text()


async def test_the_agent_starts_when_the_guard_allows_it_and_works_over_its_websocket(pod: PodOnHost) -> None:
    left = pod.root / "home" / "left.txt"
    left.write_text("of another life")
    await pod.start_guard()
    await pod.until("/started")
    assert stat.S_IMODE(pod.env_file.stat().st_mode) == 0o440
    assert (await pod.probe("/agent/ready"), await pod.probe("/agent/health")) == (503, 200)
    assert await pod.probe("/agent/started") == 503

    await pod.start_agent()
    await pod.until("/agent/ready")

    assert not left.exists()
    await works(pod, "task-1")
    async with aiohttp.ClientSession() as http:
        for name in ("model", "tools"):
            async with http.post(f"http://{pod.at(name)}/v1/chat/completions", json={}) as reply:
                assert reply.status == 403
    await eventually(lambda: any(s["boundary"] == {"egress": False} for s in pod.controller.statuses))


async def test_an_agent_that_ends_takes_its_turns_and_its_keys_with_it(pod: PodOnHost) -> None:
    await pod.start()
    before = keys(pod)
    pod.controller.models = [streams(text_events("x" * 4000), pause=0.01)]
    pod.controller.submit("hello")
    await eventually(lambda: pod.controller.model_requests)

    await pod.stop_agent()

    end, outcome = await pod.controller.outcome()
    assert (end, outcome["reason"], outcome["retryable"]) == ("fail", "AgentCrashed", True)
    await eventually(lambda: keys(pod) != before)
    await pod.until("/agent/ready", 503)
    await pod.start_agent()
    await works(pod, "task-2")


async def test_a_restarted_guard_goes_on_with_the_agent_and_a_change_of_clearance_replaces_it(
    pod: PodOnHost,
) -> None:
    await pod.start()
    assert pod.guard is not None
    assert pod.agent is not None
    agent = pod.agent.pid
    before = keys(pod)
    pod.guard.send_signal(signal.SIGKILL)
    await pod.guard.wait()
    await pod.start_guard()
    await pod.until("/agent/ready")
    await works(pod, "task-1")
    assert (keys(pod), pod.agent.pid) == (before, agent)

    pod.controller.bundle = {"instructions": "Be brief indeed."}
    pod.controller.generation += 1
    await eventually(lambda: pod.controller.acks[-1]["generation"] == pod.controller.generation)
    await works(pod, "task-2")
    assert keys(pod) == before

    pod.controller.bundle = {"clearance": ["PUBLIC"]}
    pod.controller.generation += 1
    await pod.until("/agent/health", 503)
    assert keys(pod) != before
    await pod.restart_agent()
    await pod.until("/agent/health", 200)
    await works(pod, "task-3")


async def test_a_drain_waits_for_the_turn_and_ends_with_the_next_agent(pod: PodOnHost) -> None:
    await pod.start()
    gate = asyncio.Event()
    pod.controller.models = [streams(text_events("finished"), after=gate)]
    pod.controller.submit("hello")
    await eventually(lambda: pod.controller.model_requests)

    draining = asyncio.create_task(pod.probe("/drain"))
    await pod.until("/agent/ready", 503)
    assert not draining.done()
    gate.set()

    assert (await pod.controller.outcome())[1]["result"] == "finished"
    assert await asyncio.wait_for(draining, 60) == 200
    before = keys(pod)
    pod.controller.submit("more", task="task-2")
    pod.controller.models = [says("next")]
    await pod.stop_agent()
    await eventually(lambda: keys(pod) != before)  # whoever starts before has the old ones
    await pod.start_agent()
    assert (await pod.controller.outcome())[1]["result"] == "next"


async def test_a_drain_parks_turns_that_wait_for_a_human_and_those_past_its_time(pod: PodOnHost) -> None:
    c = pod.controller
    c.bundle = {"tools": [tool("send_mail")], "concurrency": 2}
    c.decide = lambda request: {"effect": "RequireApproval", "reason": "Ask", "approvalId": "a-1"}
    await pod.start(CADRE_DRAIN_SECONDS="1")
    c.models = [wants(("call_1", "gw__send_mail", {"to": "x"})), streams([], after=asyncio.Event())]
    c.submit("hello")
    await eventually(lambda: c.approvals)
    c.submit("hang", task="task-2")
    await eventually(lambda: len(c.model_requests) > 1)

    assert await pod.probe("/drain") == 200

    ends = [await c.outcome(), await c.outcome()]
    assert [(end, o["reason"], o["retryable"]) for end, o in ends] == [("fail", "GuardDraining", True)] * 2


async def test_an_open_network_ends_the_guard_before_the_agent_may_start(pod: PodOnHost) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        await pod.start_guard(CADRE_EGRESS_PROBES=f"127.0.0.1:1,127.0.0.1:{port}")
        assert pod.guard is not None
        assert await asyncio.wait_for(pod.guard.wait(), 60) == 3

    assert (pod.root / "termination-log").read_text() == "ProbeAnswered"
    assert not pod.env_file.exists()
    (event,) = [e for e in pod.controller.events if e["action"] == "guard.egressOpen"]
    assert event["data"] == {"target": f"127.0.0.1:{port}"}

    await pod.start_guard(CADRE_EGRESS_PROBES=f"127.0.0.1:1,127.0.0.1:{port}")
    await pod.until("/started")
    await pod.start_agent()
    await eventually(lambda: any(s["boundary"] == {"egress": True} for s in pod.controller.statuses))


async def test_sigterm_ends_a_guard_that_waits_for_its_agent(pod: PodOnHost) -> None:
    await pod.start_guard()
    await pod.until("/started")
    assert pod.guard is not None

    pod.guard.terminate()

    assert await asyncio.wait_for(pod.guard.wait(), 60) == 0
