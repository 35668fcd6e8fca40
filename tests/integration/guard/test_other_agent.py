"""An agent that is not goose, under the real guard: on a desktop by its pipes, in a pod by the shim."""

from pathlib import Path

from aiohttp import web

from tests.integration.guard.conftest import eventually
from tests.integration.guard.controller_stub import USAGE, Controller, Json, Model, guard_process, tool
from tests.integration.guard.pod import build_shim, pod_on_host

PROGRAM = Path(__file__).parents[3] / "examples" / "05-any-acp-agent" / "agent" / "plain-agent"
BUNDLE: Json = {"runtimeCommand": [str(PROGRAM)], "tools": [tool("send_mail")], "instructions": "Be polite."}


def replies(content: str, *calls: Json) -> Model:
    """An answer in one piece."""

    async def reply(request: web.Request, body: Json) -> web.StreamResponse:
        assert not body.get("stream")
        message: Json = {"role": "assistant", "content": content}
        if calls:
            message["tool_calls"] = list(calls)
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
        answer = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE}
        return web.json_response({**answer, "choices": [choice]})

    return reply


def mail_call(to: str) -> Json:
    """A tool call as a model writes it."""
    return {
        "id": "call_1",
        "type": "function",
        "function": {"name": "gw__send_mail", "arguments": f'{{"to": "{to}"}}'},
    }


async def sends_a_mail(c: Controller) -> None:
    """One task with a tool call, masked on the way out, restored on the way to the agent."""
    person = c.token("PERSON", "Hanna Keller")
    c.models = [replies("", mail_call(person)), replies(f"{person} has it.")]
    c.submit(f"Mail {person}.")

    end, outcome = await c.outcome()

    assert (end, outcome["result"]) == ("complete", f"{person} has it."), outcome
    assert [call["name"] for call in c.calls] == ["send_mail"]
    assert len(c.decisions) == 1  # the agent's question; the gateway asks the controller for itself
    sent = str([body for _headers, body in c.model_requests])
    assert ("Hanna" in sent, "Be polite." in sent) == (False, True)


async def test_on_a_desktop(controller: Controller, tmp_path: Path) -> None:
    controller.bundle = BUNDLE
    async with guard_process(controller, PROGRAM, tmp_path):
        await sends_a_mail(controller)


async def test_in_a_pod_behind_the_shim(controller: Controller, tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    controller.bundle = BUNDLE
    async with pod_on_host(controller, tmp_path, build_shim(tmp_path / "build"), "Stdio") as pod:
        pod.command = [str(PROGRAM)]
        await pod.start()
        await sends_a_mail(controller)

        controller.reset()
        controller.bundle = {**BUNDLE, "clearance": ["PUBLIC"]}
        controller.generation += 1
        await eventually(lambda: controller.acks[-1]["generation"] == controller.generation)
        controller.models = [replies("A new process did this.")]
        controller.submit("Again.", task="task-2")
        assert (await controller.outcome())[1]["result"] == "A new process did this."


async def test_a_program_that_is_not_there_is_named(controller: Controller, tmp_path: Path) -> None:
    controller.bundle = {"runtimeCommand": ["no-such-agent"]}
    async with guard_process(controller, PROGRAM, tmp_path):
        await eventually(lambda: any(s["reason"] == "AgentNotFound" for s in controller.statuses), 60)
