"""Tool calls: decided on what the server would get, held for a human, executed once, masked on the way
back.
"""

import asyncio
import json

import psutil
import pytest

from cadre_controller.gateways.tools.greeting import Greetings
from tests.integration.controller.stand import Held, Stand, until
from tests.integration.controller.test_ports import assert_problem

IBAN = "DE89370400440532013000"


def evaluation(reply_body: dict[str, object]) -> dict[str, object]:
    found = reply_body.get("evaluation", reply_body)
    assert isinstance(found, dict)
    return found


async def test_a_permitted_call_runs_and_its_result_is_masked(stand: Stand) -> None:
    held = await stand.held()
    reply = await held.tool("desk_read", {"what": "x"})
    assert evaluation(reply.json)["effect"] == "Allow"
    assert "frank.miller" not in reply.text and "Miller" not in reply.text and "EMAILx1" in reply.text
    assert [call["tool"] for call in stand.desk_calls()] == ["read"]


async def test_the_server_gets_restored_values_and_the_hash_is_over_them(stand: Stand) -> None:
    held = await stand.held(f"Book 5 from {IBAN}.")
    token = next(w.strip(".") for w in str(held.lease["prompt"]).split() if w.startswith("IBANx"))
    decided = await held.tool("desk_book", {"amount": 5000, "iban": token}, do="decide")
    assert evaluation(decided.json)["effect"] == "RequireApproval"
    bruno = await stand.person("bruno")
    approval = (await (await stand.person("anna")).get("/api/v1/approvals"))["items"][0]  # type: ignore[index]
    assert approval["arguments"] == {"amount": 5000, "iban": IBAN}
    assert (await bruno.get("/api/v1/approvals"))["items"][0]["arguments"]["iban"] == token  # type: ignore[index]
    assert (
        await bruno.post(f"/api/v1/approvals/{approval['id']}/decision", {"decision": "Approved"})
    ).status == 200
    assert (
        evaluation((await held.tool("desk_book", {"amount": 5000, "iban": token})).json)["effect"] == "Allow"
    )
    assert stand.desk_calls()[0]["arguments"] == {"amount": 5000, "iban": IBAN}


async def test_a_held_call_waits_for_its_human_and_runs_once(stand: Stand) -> None:
    held = await stand.held()
    first = evaluation((await held.tool("desk_book", {"amount": 2000})).json)
    again = evaluation((await held.tool("desk_book", {"amount": 2000}, "t2")).json)
    assert first["effect"] == again["effect"] == "RequireApproval"
    assert first["approvalId"] == again["approvalId"] and stand.desk_calls() == []
    waiting = asyncio.create_task(held.guard.get(f"/guard/v1/approvals/{first['approvalId']}?wait=20"))
    anna = await stand.person("anna")
    decision = {"decision": "Approved", "comment": "fine"}
    outsider = await (await stand.person("clara")).post(
        f"/api/v1/approvals/{first['approvalId']}/decision", decision
    )
    assert outsider.status == 404
    bruno = await stand.person("bruno")
    decided = await bruno.post(f"/api/v1/approvals/{first['approvalId']}/decision", decision)
    assert decided.status == 200, decided.text
    assert (await waiting)["state"] == "Approved"
    assert_problem(
        await anna.post(f"/api/v1/approvals/{first['approvalId']}/decision", {"decision": "Denied"}), 409
    )
    for _ in range(2):
        reply = await held.tool("desk_book", {"amount": 2000}, "t2")
        assert evaluation(reply.json)["effect"] == "Allow"
    assert reply["replayed"] is True
    assert len(stand.desk_calls()) == 1
    other = evaluation((await held.tool("desk_book", {"amount": 2001}, "t3")).json)
    assert other["effect"] == "RequireApproval" and other["approvalId"] != first["approvalId"]


async def test_a_denied_approval_denies_the_call(stand: Stand) -> None:
    held = await stand.held()
    asked = evaluation((await held.tool("desk_book", {"amount": 2000}, do="decide")).json)
    bruno = await stand.person("bruno")
    await bruno.post(f"/api/v1/approvals/{asked['approvalId']}/decision", {"decision": "Denied"})
    denied = evaluation((await held.tool("desk_book", {"amount": 2000})).json)
    assert (denied["effect"], denied["reason"]) == ("Deny", "ApprovalDenied")
    assert stand.desk_calls() == []


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("desk_unknown", {}, "NotInProfile"),
        ("shell", {"command": "ls"}, "NotInProfile"),
        ("desk_book", {}, "SchemaMismatch"),
        ("desk_book", {"amount": "5000"}, "SchemaMismatch"),
        ("desk_book", {"amount": None}, "SchemaMismatch"),
        ("desk_book", {"amount": 5, "extra": 1}, "SchemaMismatch"),
        ("desk_book", {"amount": 10**30}, ""),
        ("desk_wire", {"amount": 666}, "DeniedByRule"),
    ],
)
async def test_what_policy_or_schema_forbid_never_reaches_the_server(
    stand: Stand, name: str, arguments: dict[str, object], reason: str
) -> None:
    held = await stand.held()
    for number, do in enumerate(("decide", "call")):
        found = evaluation((await held.tool(name, arguments, f"t{number}", do)).json)
        assert found["effect"] in (("Deny",) if reason else ("Deny", "RequireApproval")), found
        assert not reason or found["reason"] == reason
    assert stand.desk_calls() == []


async def test_nan_is_no_json_here(stand: Stand) -> None:
    held = await stand.held()
    body = json.dumps(held.about(toolCallId="t", name="desk_book", arguments={"amount": float("nan")}))
    url = f"{held.guard.base}/guard/v1/tools/call"
    headers = {"Authorization": f"Bearer {held.guard.token}", "Content-Type": "application/json"}
    async with stand.http.post(url, data=body, headers=headers) as response:
        assert response.status == 400


async def test_a_server_that_changed_its_tools_is_not_used(stand: Stand) -> None:
    held = await stand.held()
    stand.desk_flag("schema")
    for name, arguments in (("desk_book", {"amount": 1}), ("desk_read", {"what": "x"})):
        found = evaluation((await held.tool(name, arguments)).json)
        assert (found["effect"], found["reason"]) == ("Deny", "SchemaChanged")
    assert "book" in str(found["message"]) and stand.desk_calls() == []


async def test_an_error_of_the_tool_is_a_result_and_recorded(stand: Stand) -> None:
    held = await stand.held()
    for replayed in (False, True):
        reply = await held.tool("desk_read", {"what": "error"})
        assert reply["isError"] is True and reply["replayed"] is replayed
    assert len(stand.desk_calls()) == 1


async def test_a_huge_result_is_cut_and_says_so(stand: Stand) -> None:
    held = await stand.held()
    reply = await held.tool("desk_read", {"what": "much"})
    assert len(reply.text) < 160_000 and "cut by the tool gateway" in reply.text


async def test_an_idempotent_call_survives_the_servers_death(stand: Stand) -> None:
    held = await stand.held()
    stand.desk_flag("crash")
    reply = await held.tool("desk_book", {"amount": 7})
    assert evaluation(reply.json)["effect"] == "Allow" and reply["isError"] is False, reply.text
    calls = stand.desk_calls()
    assert len(calls) == 2 and calls[0]["key"] == calls[1]["key"] != ""


async def test_a_call_that_must_not_run_twice_ends_as_outcome_unknown(stand: Stand) -> None:
    held = await stand.held()
    stand.desk_flag("crash")
    found = evaluation((await held.tool("desk_wire", {"amount": 7})).json)
    assert found["reason"] == "OutcomeUnknown" and found["approvalId"]
    assert len(stand.desk_calls()) == 1
    bruno = await stand.person("bruno")
    view = await bruno.get(f"/api/v1/tasks/{held.task}")
    assert view["state"] == "OutcomeUnknown"
    approval = await bruno.get(f"/api/v1/approvals/{found['approvalId']}")
    assert approval["kind"] == "OutcomeUnknown"
    await bruno.post(f"/api/v1/approvals/{found['approvalId']}/decision", {"decision": "Approved"})
    again = await stand.claim()
    assert again.task == held.task
    assert evaluation((await again.tool("desk_wire", {"amount": 7})).json)["effect"] == "Allow"
    assert len(stand.desk_calls()) == 2


async def test_the_same_call_of_a_later_attempt_gets_the_recorded_result(stand: Stand) -> None:
    held = await stand.held()
    first = await held.tool("desk_wire", {"amount": 7}, "t1")
    again = await stand.claim(instance="i-2")
    assert again.task == held.task and again.lease["attempt"] == 2
    second = await again.tool("desk_wire", {"amount": 7}, "other-id")
    assert second["replayed"] is True and second["content"] == first["content"]
    assert evaluation((await again.tool("desk_wire", {"amount": 7}, "third")).json)["effect"] == "Allow"
    assert len(stand.desk_calls()) == 2


async def test_the_same_call_at_once_runs_once(stand: Stand) -> None:
    held = await stand.held()
    replies = await asyncio.gather(*(held.tool("desk_book", {"amount": 7}, "one") for _ in range(5)))
    assert all(reply.status == 200 for reply in replies)
    assert len(stand.desk_calls()) == 1


async def test_a_server_that_cannot_start_is_told_and_may_be_retried(stand: Stand) -> None:
    desk = "stdio: {command: [/nowhere/desk], env: []}"
    assert (await stand.apply(desk=desk)).status == 200
    held = await stand.held()
    reply = await held.tool("desk_wire", {"amount": 7})
    assert_problem(reply, 502, "ToolServerUnreachable")
    view = await (await stand.person()).get(f"/api/v1/tasks/{held.task}")
    assert view["state"] == "Running"


async def test_every_decision_is_told_and_audited(stand: Stand) -> None:
    held = await stand.held()
    await held.tool("desk_book", {"amount": 2000})
    await held.tool("desk_read", {"what": "x"}, "t2")
    admin = await stand.person()
    kinds = [e["kind"] for e in (await admin.get(f"/api/v1/tasks/{held.task}/events"))["items"]]  # type: ignore[attr-defined]
    assert {"Decided", "ApprovalRequested", "ToolReturned"} <= set(kinds)
    rows = (await admin.get("/api/v1/audit/events?limit=1000"))["items"]
    actions = [json.loads(row["canonical"])["action"] for row in rows]  # type: ignore[attr-defined]
    assert actions.count("tool.decide") == 2 and "tool.call" in actions


async def test_the_gateway_is_not_fooled_by_a_foreign_lease(stand: Stand) -> None:
    held = await stand.held()
    other = await stand.agent("co/sal")
    thief = Held(other, held.lease)
    assert_problem(await thief.tool("desk_read", {"what": "x"}), 409, "LeaseLost")
    assert_problem(await thief.chat("hello"), 409, "LeaseLost")
    reply = await other.post(
        "/guard/v1/pseudonyms/restore", {"sessionId": held.lease["sessionId"], "tokens": []}
    )
    assert_problem(reply, 403, "WrongSession")


async def test_a_server_runs_before_anybody_calls_it(stand: Stand) -> None:
    async def runs() -> bool:
        children = psutil.Process().children(recursive=True)
        return any("desk.py" in " ".join(child.cmdline()) for child in children)

    await until(runs)
    assert stand.desk_calls() == []


async def test_children_of_the_controller_end_with_it(stand: Stand) -> None:
    held = await stand.held()
    await held.tool("desk_read", {"what": "x"})
    await stand.runtime.servers.close()

    async def gone() -> bool:
        children = psutil.Process().children(recursive=True)
        return not any("desk.py" in " ".join(child.cmdline()) for child in children)

    await until(gone)
    assert not stand.runtime.servers.states("co")
    await Greetings(stand.runtime.servers, stand.runtime.services.chart).greet()
    assert await gone()
