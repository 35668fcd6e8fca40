"""Agents that work together: through the controller, on behalf of the one who asked, within each one's
clearance.
"""

import asyncio
import json

from tests.integration.controller.stand import SAL, Held, Stand, until
from tests.integration.controller.test_ports import assert_problem


def structured(reply) -> dict[str, object]:  # type: ignore[no-untyped-def]  # Reply of the stand
    found = reply["structuredContent"]
    assert isinstance(found, dict), reply.text
    return found


async def finish(held: Held, result: str) -> None:
    body = {"fence": held.lease["fence"], "result": result}
    assert (await held.guard.post(f"/guard/v1/leases/{held.task}/complete", body)).status == 204


async def test_a_task_is_sent_waited_for_and_answered_within_clearance(stand: Stand) -> None:
    asks = await stand.held("Ask finance about Frank Miller.", agent=SAL, by="clara")
    sent = await asks.tool("mesh_send_task", {"targetRole": "base", "task": asks.lease["prompt"]})
    child = str(structured(sent)["taskId"])
    waiting = asyncio.create_task(asks.tool("mesh_fetch_status", {"taskId": child, "waitSeconds": 30}, "t2"))
    does = await stand.claim()
    prompt = str(does.lease["prompt"])
    assert does.task == child and "PERSONx1" in prompt and "Miller" not in prompt
    admin = await stand.person()

    async def waits() -> bool:
        return (await admin.get(f"/api/v1/tasks/{asks.task}"))["state"] == "Waiting"

    await until(waits)
    await finish(does, f"Paid. {does.lease['prompt']}")
    answer = structured(await waiting)
    assert answer["state"] == "Succeeded" and str(answer["result"]).startswith("Paid.")
    assert "Miller" not in str(answer)
    state = await (await stand.person()).get(f"/api/v1/tasks/{asks.task}")
    assert state["state"] == "Running"


async def test_the_same_call_makes_one_child_over_all_attempts(stand: Stand) -> None:
    asks = await stand.held(agent=SAL, by="clara")
    arguments = {"agentId": "co/fin", "task": "Do your part."}
    first = structured(await asks.tool("mesh_send_task", arguments))
    assert structured(await asks.tool("mesh_send_task", arguments))["taskId"] == first["taskId"]
    again = await stand.claim(SAL, "i-2")
    assert structured(await again.tool("mesh_send_task", arguments, "new-id"))["taskId"] == first["taskId"]
    tasks = (await (await stand.person()).get("/api/v1/tasks?agent=fin"))["items"]
    assert len(tasks) == 1  # type: ignore[arg-type]


async def test_children_carry_the_origins_trace_and_requester(stand: Stand) -> None:
    asks = await stand.held(agent=SAL, by="clara")
    child = str(structured(await asks.tool("mesh_send_task", {"agentId": "fin", "task": "x"}))["taskId"])
    admin = await stand.person()
    above, below = await admin.get(f"/api/v1/tasks/{asks.task}"), await admin.get(f"/api/v1/tasks/{child}")
    assert below["parentTaskId"] == asks.task and below["traceId"] == above["traceId"]
    clara = await stand.person("clara")
    assert (await clara.get(f"/api/v1/tasks/{child}")).status == 200
    status = await clara.get(f"/api/v1/status/{asks.task}")
    assert {task["id"] for task in status["tasks"]} >= {asks.task}  # type: ignore[attr-defined]


async def test_what_the_model_can_mend_is_told_to_it(stand: Stand) -> None:
    asks = await stand.held(agent=SAL)
    for number, (arguments, told) in enumerate(
        (
            ({"task": "x"}, "TargetMissing"),
            ({"task": "x", "targetRole": "astronaut"}, "No"),
            ({"task": "x", "agentId": "co/nobody"}, "nobody"),
        )
    ):
        reply = await asks.tool("mesh_send_task", arguments, f"t{number}")
        assert reply["isError"] is True and told in reply.text
    other = await stand.held()
    reply = await asks.tool("mesh_fetch_status", {"taskId": other.task}, "t9")
    assert reply["isError"] is True and "NotYourTask" in reply.text


async def test_a_note_reaches_the_other_agent(stand: Stand) -> None:
    asks = await stand.held(agent=SAL)
    reply = await asks.tool(
        "mesh_notify", {"agentId": "fin", "message": "Fiscal year ends.", "severity": "Warning"}
    )
    assert structured(reply)["ack"] is True
    note = str((await stand.held()).lease["shards"])
    assert "Fiscal year ends." in note and "Warning" in note


async def test_a_human_is_asked_and_the_answer_comes_back(stand: Stand) -> None:
    asks = await stand.held(agent=SAL, by="clara")
    call = asks.tool("mesh_request_approval", {"payload": "May I?", "stepId": "s1"})
    waiting = asyncio.create_task(call)
    anna = await stand.person("anna")
    async with asyncio.timeout(60):
        while not (items := (await anna.get("/api/v1/approvals?state=Pending"))["items"]):
            await asyncio.sleep(0.05)
    assert json.dumps(items[0]["arguments"]).find("May I?") > 0  # type: ignore[index]
    decided = await anna.post(f"/api/v1/approvals/{items[0]['id']}/decision", {"decision": "Approved"})  # type: ignore[index]
    assert decided.status == 200, decided.text
    assert structured(await waiting)["state"] == "Approved"


async def test_a_wait_ends_when_the_lease_is_lost(stand: Stand) -> None:
    asks = await stand.held(agent=SAL)
    child = str(structured(await asks.tool("mesh_send_task", {"agentId": "fin", "task": "x"}))["taskId"])
    waiting = asyncio.create_task(asks.tool("mesh_fetch_status", {"taskId": child, "waitSeconds": 600}, "t2"))
    await asyncio.sleep(0.3)
    await stand.agent(SAL, "i-2")
    assert_problem(await waiting, 409, "LeaseLost")
