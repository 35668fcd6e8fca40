"""A human's yes covers one call, one text, one step, and only while it may be given."""

import asyncio
from datetime import timedelta

from tests.integration.controller.stand import Held, Stand
from tests.integration.controller.test_tool_gateway import evaluation


async def _decide(stand: Stand, person: str, approval: object, decision: str = "Approved"):  # type: ignore[no-untyped-def]
    peer = await stand.person(person)
    return await peer.post(f"/api/v1/approvals/{approval}/decision", {"decision": decision})


async def _ask(stand: Stand, held: Held, step: str, text: str, call_id: str) -> "asyncio.Task[object]":
    arguments = {"stepId": step, "payload": text, "targetRole": "Head"}
    return asyncio.create_task(held.tool("mesh_request_approval", arguments, call_id))


async def _pending(stand: Stand) -> dict[str, object]:
    admin = await stand.person()
    async with asyncio.timeout(60):
        while not (found := (await admin.get("/api/v1/approvals?state=Pending"))["items"]):
            await asyncio.sleep(0.02)
    return found[0]  # type: ignore[index,return-value]


async def test_one_yes_is_good_for_one_call(stand: Stand) -> None:
    held = await stand.held()
    first = evaluation((await held.tool("desk_book", {"amount": 2000}, "t1")).json)
    assert (await _decide(stand, "bruno", first["approvalId"])).status == 200
    assert evaluation((await held.tool("desk_book", {"amount": 2000}, "t1")).json)["effect"] == "Allow"
    for do in ("decide", "call"):
        again = evaluation((await held.tool("desk_book", {"amount": 2000}, "t2", do)).json)
        assert again["effect"] == "RequireApproval" and again["approvalId"] != first["approvalId"]
    assert len(stand.desk_calls()) == 1


async def test_a_step_is_approved_with_the_text_that_was_read(stand: Stand) -> None:
    held = await stand.held()
    asking = await _ask(stand, held, "pay", "May we pay 5 for coffee?", "t1")
    approval = await _pending(stand)
    assert (await _decide(stand, "bruno", approval["id"])).status == 200
    assert "Approved" in (await asking).text  # type: ignore[attr-defined]
    other = await (await _ask(stand, held, "pay", "May we pay 5000000 to the moon?", "t2"))
    assert "Approved" not in other.text, other.text  # type: ignore[attr-defined]


async def test_who_ordered_the_work_does_not_approve_its_steps(stand: Stand) -> None:
    held = await stand.held(by="bruno")
    asking = await _ask(stand, held, "pay", "May we pay 5 for coffee?", "t1")
    approval = await _pending(stand)
    refused = await _decide(stand, "bruno", approval["id"])
    assert refused.status == 403, refused.text
    assert (await _decide(stand, "anna", approval["id"])).status == 200
    await asking


async def test_a_late_yes_is_no_yes(stand: Stand) -> None:
    held = await stand.held()
    asked = evaluation((await held.tool("desk_book", {"amount": 2000}, "t1", "decide")).json)
    kernel = stand.runtime.services.approvals._kernel
    late = kernel.clock.now() + timedelta(hours=2)
    real, type(kernel.clock).now = type(kernel.clock).now, lambda _: late
    try:
        stand_in = await _decide_now(stand, asked["approvalId"])
    finally:
        type(kernel.clock).now = real
    assert stand_in == "ApprovalExpired"


async def _decide_now(stand: Stand, approval: object) -> str:
    from cadre_api.protocol.tasks import ApprovalState, DecisionCreate
    from cadre_controller.errors import CadreError

    services = stand.runtime.services
    actor = services.directory.person_actor(services.chart.tenants()[0], "bruno")
    try:
        view = await services.approvals.decide(
            actor, str(approval), DecisionCreate(decision=ApprovalState.APPROVED)
        )
    except CadreError as error:
        return error.reason
    return view.state.value
