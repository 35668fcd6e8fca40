"""A guard that was taken over asks for what it must not get."""

import json

import pytest

from tests.integration.controller.stand import SAL, Held, Stand
from tests.integration.controller.test_tool_gateway import evaluation

IBAN = "DE89370400440532013000"
SPACED = "DE89 3704 0044 0532 0130 00"
MAIL = "greta.lindqvist@private.example"


async def stored(stand: Stand) -> str:
    """Everything in the tables, as text."""
    import asyncpg

    connection = await asyncpg.connect(stand.serving.runtime.settings.database_url)  # type: ignore[attr-defined]
    try:
        tables = await connection.fetch(
            "select schemaname, tablename from pg_tables where schemaname not like 'pg_%'"
            " and schemaname <> 'information_schema'"
        )
        rows = [
            row[0]
            for t in tables
            for row in await connection.fetch(f'select x::text from "{t[0]}"."{t[1]}" x')
        ]
    finally:
        await connection.close()
    return "\n".join(rows)


async def raw_tool(stand: Stand, held: Held, arguments: str, name: str = "desk_book", do: str = "call"):  # type: ignore[no-untyped-def]
    """A tool call whose arguments are written by hand; (status, text)."""
    body = json.dumps(held.about(toolCallId="t", name=name, arguments="@")).replace('"@"', arguments)
    headers = {"Authorization": f"Bearer {held.guard.token}", "Content-Type": "application/json"}
    async with stand.http.post(f"{held.guard.base}/guard/v1/tools/{do}", data=body, headers=headers) as r:
        return r.status, await r.text()


ODD = [
    '{"amount": 1e400}',
    '{"amount": -1e400}',
    '{"amount": 5, "amount": 5000}',
    '{"amount": 5000, "amount": 5}',
    '{"\\u0430mount": 5}',
    '{"amount": {"amount": 5}}',
    '{"amount": [5]}',
    '{"amount": true}',
    '{"amount": "5"}',
    '{"amount": 9007199254740993}',
    "[" * 5000 + "]" * 5000,
    "5",
    "null",
]


async def test_odd_arguments_are_refused_or_held(stand: Stand) -> None:
    held = await stand.held()
    for arguments in ODD:
        status, text = await raw_tool(stand, held, arguments)
        assert 200 <= status < 500, text
        assert status >= 400 or evaluation(json.loads(text))["effect"] != "Allow", text
    assert stand.desk_calls() == []


async def test_clear_arguments_are_stored_masked_and_shown_by_clearance(stand: Stand) -> None:
    held = await stand.held()
    asked = evaluation((await held.tool("desk_book", {"amount": 5000, "iban": IBAN}, do="decide")).json)
    assert asked["effect"] == "RequireApproval"
    seen = await (await stand.person("bruno")).get("/api/v1/approvals")
    assert IBAN not in seen.text
    assert IBAN not in await stored(stand)


async def test_a_name_or_id_of_a_call_carries_nothing_into_the_records(stand: Stand) -> None:
    held = await stand.held()
    reply = await held.tool(f"pay {MAIL}", {"x": 1}, call_id=f"call {IBAN}")
    assert reply.status >= 400 or evaluation(reply.json)["effect"] == "Deny"
    found = await stored(stand)
    assert MAIL not in found and IBAN not in found


async def test_an_ending_carries_nothing_into_the_records(stand: Stand) -> None:
    for path, field in (("complete", "result"), ("fail", "message"), ("fail", "reason")):
        held = await stand.held(agent=SAL)
        body = {"fence": held.lease["fence"], field: f"Write to {MAIL} about {IBAN}", "retryable": False}
        await held.guard.post(f"/guard/v1/leases/{held.task}/{path}", body)
        found = await stored(stand)
        assert MAIL not in found and IBAN not in found, (path, field)


@pytest.mark.parametrize("where", ["data", "result", "action"])
async def test_an_event_carries_nothing_into_the_records(stand: Stand, where: str) -> None:
    held = await stand.held()
    text = f"Write to {MAIL} about {IBAN}"
    event = {"id": "e1", "at": "2026-05-01T00:00:00Z", "taskId": held.task, "action": "guard.mask"}
    event |= {"data": {"note": text}} if where == "data" else {where: text}  # type: ignore[dict-item]
    await held.guard.post("/guard/v1/events", {"events": [event]})
    found = await stored(stand)
    assert MAIL not in found and IBAN not in found


async def test_a_guard_tells_no_story_of_another_agents_task(stand: Stand) -> None:
    held = await stand.held()
    other = await stand.agent(SAL)
    event = {
        "id": "e1", "at": "2026-05-01T00:00:00Z", "taskId": held.task, "action": "acp.permission",
        "result": "ok", "data": {"tool": "desk_wire"},
    }  # fmt: skip
    await other.post("/guard/v1/events", {"events": [event]})
    admin = await stand.person()
    story = await admin.get(f"/api/v1/tasks/{held.task}/events")
    assert "desk_wire" not in story.text
    assert f'"task:{held.task}"' not in json.dumps(
        (await admin.get("/api/v1/audit/events?action=acp.permission"))["items"]
    ).replace("\\", "")


async def test_a_guard_does_not_speak_with_the_controllers_words(stand: Stand) -> None:
    held = await stand.held()
    event = {"id": "e1", "at": "2026-05-01T00:00:00Z", "taskId": held.task, "action": "approval.decide"}
    await held.guard.post("/guard/v1/events", {"events": [event]})
    admin = await stand.person()
    assert (await admin.get("/api/v1/audit/events?action=approval.decide"))["items"] == []


async def test_an_auditor_does_not_write_the_controllers_history(stand: Stand) -> None:
    anna = await stand.person("anna")
    event = {"id": "e", "action": "approval.decide", "target": "approval:apr_1", "result": "Approved"}
    reply = await anna.post("/api/v1/audit/ingest", event)
    assert reply.status >= 400, reply.text
    assert (await anna.get("/api/v1/audit/events?action=approval.decide"))["items"] == []


async def test_what_is_ingested_is_stored_masked(stand: Stand) -> None:
    anna = await stand.person("anna")
    event = {"id": "e", "action": "ci.deploy", "target": f"for {MAIL}", "data": {"note": IBAN}}
    await anna.post("/api/v1/audit/ingest", event)
    found = await stored(stand)
    assert MAIL not in found and IBAN not in found


FIELDS = [
    {"role": SPACED, "content": "x"},
    {"role": "user", "id": MAIL, "content": "x"},
    {"role": "tool", "tool_call_id": SPACED, "content": "x"},
    {"role": "user", "content": [{"type": SPACED, "text": "x"}]},
    {"role": "user", "content": [{"type": "text", "text": "x", "detail": MAIL}]},
    {"role": "user", "content": "x", MAIL: 1},
    {"role": "user", "content": "x", "n": 4111111111111111},
]


async def test_no_field_of_a_model_call_is_a_way_out(stand: Stand) -> None:
    held = await stand.held()
    for message in FIELDS:
        reply = await held.chat("hello", messages=[message])
        assert (reply.status, reply.json.get("reason")) == (403, "EgressBlocked"), (message, reply.text)


SETTINGS = ["user", "metadata", "stop", "functions", "response_format", "finish_reason"]


async def test_no_setting_of_a_model_call_is_a_way_out(stand: Stand) -> None:
    held = await stand.held()
    for field in SETTINGS:
        value = {"a": f"x {SPACED}"} if field != "finish_reason" else MAIL
        reply = await held.chat("hello", **{field: value})
        assert (reply.status, reply.json.get("reason")) == (403, "EgressBlocked"), (field, reply.text)


async def test_a_call_id_is_paid_as_often_as_it_is_sent(stand: Stand) -> None:
    held = await stand.held()
    admin = await stand.person()
    spent = []
    for text in ("hello", "hello", "a quite different question"):  # a repeat may be another answer
        assert (await held.chat(text, call_id="same")).status == 200
        usage = (await admin.get(f"/api/v1/tasks/{held.task}"))["usage"]
        spent.append(usage["inputTokens"])  # type: ignore[index]
    assert 0 < spent[0] < spent[1] < spent[2]


async def test_a_trace_is_for_those_who_may_see_the_task(stand: Stand) -> None:
    bruno = await stand.person("bruno")
    task = await bruno.post("/api/v1/tasks", {"prompt": "Do it.", "agent": "co/fin"})
    trace = task["traceId"]
    assert (await bruno.get(f"/api/v1/traces/{trace}")).status == 200
    assert (await (await stand.person("clara")).get(f"/api/v1/traces/{trace}")).status == 404


async def test_a_server_that_hides_its_tools_is_not_used(stand: Stand) -> None:
    held = await stand.held()
    stand.desk_flag("hidden")
    found = await held.tool("desk_book", {"amount": 1})
    assert found.status >= 400 or evaluation(found.json)["effect"] == "Deny", found.text
    assert stand.desk_calls() == []


async def test_another_persons_things_are_not_there(stand: Stand) -> None:
    held = await stand.held(f"Pay {IBAN}.", by="bruno")
    asked = evaluation((await held.tool("desk_book", {"amount": 5000}, do="decide")).json)
    clara = await stand.person("clara")
    session = held.lease["sessionId"]
    for path in (
        f"tasks/{held.task}", f"tasks/{held.task}/result", f"tasks/{held.task}/events", f"sessions/{session}",
        f"status/{held.task}", f"status/{session}", f"approvals/{asked['approvalId']}", "audit/events",
        "audit/export", "audit/checkpoint",
    ):  # fmt: skip
        assert (await clara.get(f"/api/v1/{path}")).status in (403, 404), path
    assert (await clara.get("/api/v1/tasks"))["items"] == []
    assert (await clara.get("/api/v1/approvals"))["items"] == []
    assert (await clara.post(f"/api/v1/tasks/{held.task}/cancel")).status in (403, 404)
    joined = await clara.post("/api/v1/tasks", {"prompt": "x", "agent": "co/fin", "sessionId": session})
    assert joined.status in (403, 404)
    step = {"sessionId": session, "stepId": "s", "approverRole": "Head", "payload": {}}
    assert (await clara.post("/api/v1/approvals", step)).status in (403, 404)


async def test_a_person_reads_no_other_persons_document_and_no_administrators_settings(stand: Stand) -> None:
    clara = await stand.person("clara")
    persons = (await clara.get("/api/v1/resources/persons"))["items"]
    assert [person["metadata"]["name"] for person in persons] == ["clara"]
    assert (await clara.get("/api/v1/resources/toolservers")).status == 403
    assert (await clara.get("/api/v1/resources/modelproviders")).status == 403
    assert (await clara.get("/api/v1/resources/agents"))["items"] != []


async def test_another_agents_lease_and_session_are_out_of_reach(stand: Stand) -> None:
    held = await stand.held(f"Pay {IBAN}.", by="anna")
    token = next(w.strip(".") for w in str(held.lease["prompt"]).split() if w.startswith("IBANx"))
    thief = Held(await stand.agent(SAL), held.lease)
    assert (await thief.tool("mesh_notify", {"agentId": "fin", "message": "x"})).status in (403, 409)
    assert (await thief.chat("hello")).status in (403, 409)
    for path, body in (
        ("pseudonyms/restore", {"sessionId": held.lease["sessionId"], "tokens": [token]}),
        (
            "pseudonyms/issue",
            {"sessionId": held.lease["sessionId"], "items": [{"entityType": "IBAN", "value": "x"}]},
        ),
        (f"leases/{held.task}/complete", {"fence": held.lease["fence"], "result": "x"}),
        (f"leases/{held.task}/fail", {"fence": held.lease["fence"]}),
        (f"leases/{held.task}/heartbeat", {"fence": held.lease["fence"]}),
    ):
        reply = await thief.guard.post(f"/guard/v1/{path}", body)
        assert reply.status in (403, 404, 409), (path, reply.text)
    own = await held.guard.post(
        "/guard/v1/pseudonyms/restore", {"sessionId": held.lease["sessionId"], "tokens": [token]}
    )
    assert own["values"] == {}, "FINANCIAL is above the agent's clearance"
