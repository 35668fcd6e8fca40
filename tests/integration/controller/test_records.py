"""Sessions, audit and traces over HTTP."""

import json

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cadre_core.audit import verify_chain
from tests.integration.controller.stand import FIN, Stand
from tests.integration.controller.test_ports import assert_problem


async def test_a_session_is_opened_read_and_handed_on(stand: Stand) -> None:
    anna = await stand.person("anna")
    body = {"participants": [FIN], "scope": "Ask Frank Miller about DE89370400440532013000."}
    session = await anna.post("/api/v1/sessions", body)
    assert session.status == 201, session.text
    assert session["shards"][0]["text"] == body["scope"]  # type: ignore[index]
    clara = await stand.person("clara")
    assert_problem(await clara.get(f"/api/v1/sessions/{session['id']}"), 404)
    handed = await anna.call("PATCH", f"/api/v1/sessions/{session['id']}/handoff", {"to": "co/sal"})
    assert handed.status == 200, handed.text
    assert "agent:co/sal" in handed["participants"] and handed["parentSessionId"] == session["id"]  # type: ignore[operator]
    unknown = await anna.post("/api/v1/sessions", {"participants": ["co/nobody"]})
    assert_problem(unknown, 404, "UnknownAgent")


async def test_the_exported_chain_verifies_and_is_for_auditors(stand: Stand) -> None:
    await stand.held("Pay Frank Miller.", by="bruno")
    anna = await stand.person("anna")
    exported = (await anna.get("/api/v1/audit/export")).text
    lines = exported.splitlines()
    header = json.loads(lines[0])
    assert header["format"] == "cadre-audit/1" and header["tenant"] == "co" and header["publicKey"]
    report = verify_chain(lines, None)
    assert report.ok and report.count == len(lines) - 1, report
    assert "Miller" not in exported and "Bruno" not in exported
    checkpoint = await anna.get("/api/v1/audit/checkpoint")
    assert str(checkpoint["jws"]).count(".") == 2
    for path in ("events", "export", "checkpoint"):
        assert_problem(await (await stand.person("bruno")).get(f"/api/v1/audit/{path}"), 403, "NotAnAuditor")


async def test_foreign_events_enter_the_chain_once(stand: Stand) -> None:
    anna = await stand.person("anna")
    event = {"id": "e1", "action": "ci.deploy", "target": "web"}
    assert (await anna.post("/api/v1/audit/ingest", event))["accepted"] is True
    assert (await anna.post("/api/v1/audit/ingest", event))["accepted"] is False
    found = (await anna.get("/api/v1/audit/events?action=ci.deploy"))["items"]
    assert len(found) == 1  # type: ignore[arg-type]


async def test_guard_events_are_taken_once_and_become_the_story(stand: Stand) -> None:
    held = await stand.held()
    event = {
        "id": "g1",
        "at": "2026-05-01T00:00:00Z",
        "taskId": held.task,
        "action": "guard.mask",
        "redactions": {"PERSON": 2},
    }
    for accepted in (1, 0):
        assert (await held.guard.post("/guard/v1/events", {"events": [event]}))["accepted"] == accepted
    status = {"instance": "i-1", "state": "Busy", "boundary": {"network": True}}
    assert (await held.guard.post("/guard/v1/status", status)).status == 204
    agents = (await (await stand.person()).get("/api/v1/agents"))["items"]
    live = next(a for a in agents if a["key"] == FIN)["live"]  # type: ignore[attr-defined]
    assert live["state"] == "Busy" and live["boundary"] == {"network": True}


def export(trace_id: str) -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    name = resource.resource.attributes.add(key="service.name")
    name.value.string_value = "cadre-guard"
    span = resource.scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = bytes.fromhex(trace_id), b"12345678", "guard.turn"
    span.start_time_unix_nano, span.end_time_unix_nano = 10**18, 10**18 + 5_000_000
    span.attributes.add(key="cadre.task").value.string_value = "t" * 500
    span.attributes.add(key="prompt").value.string_value = "Frank Miller"
    return request.SerializeToString()


async def test_one_trace_joins_controller_and_guard(stand: Stand) -> None:
    held = await stand.held()
    await held.chat("hello")
    await held.tool("desk_read", {"what": "x"})
    admin = await stand.person()
    trace_id = str((await admin.get(f"/api/v1/tasks/{held.task}"))["traceId"])
    assert trace_id in str(held.lease["traceparent"])
    url = f"{held.guard.base}/guard/v1/otlp/v1/traces"
    headers = {"Authorization": f"Bearer {held.guard.token}", "Content-Type": "application/x-protobuf"}
    async with stand.http.post(url, data=export(trace_id), headers=headers) as response:
        assert response.status in (200, 204)
    async with stand.http.post(url, data=b"\xff\xff", headers=headers) as response:
        assert response.status == 400
    reply = await admin.get(f"/api/v1/traces/{trace_id}")
    spans = {span["name"]: span for span in reply["items"]}  # type: ignore[attr-defined]
    names = {
        "task.create",
        "model/chat/completions",
        "chat scripted",
        "execute_tool co/desk/read",
        "guard.turn",
    }
    assert names <= spans.keys()
    assert spans["chat scripted"]["parentId"] == spans["model/chat/completions"]["spanId"]
    assert spans["guard.turn"]["service"] == "cadre-guard" and spans["guard.turn"]["durationMs"] == 5.0
    assert len(spans["guard.turn"]["attributes"]["cadre.task"]) == 128 and "Miller" not in reply.text
    assert_problem(await admin.get(f"/api/v1/traces/{'0' * 31}1"), 404, "NoTrace")


async def test_the_directory_answers_and_policy_explains(stand: Stand) -> None:
    anna = await stand.person("anna")
    assert (await anna.get("/directory/finance"))["item"]["key"] == "co/finance"  # type: ignore[index]
    assert (await anna.get("/directory/co.finance"))["item"]["agents"] == [FIN]  # type: ignore[index]
    assert (await anna.get("/roles/base/profile")).status == 200
    assert_problem(await anna.get("/directory/nowhere"), 404, "UnknownNode")
    body = {"subject": "fin", "action": "CallTool", "resource": {"server": "co/desk", "tool": "book"}}
    held = await anna.post("/evaluate", {**body, "args": {"amount": 5000.5}})
    assert held["evaluation"]["effect"] == "RequireApproval" and held["evaluation"]["rules"]  # type: ignore[index]
    free = await anna.post("/evaluate", {**body, "args": {"amount": 5}})
    assert free["evaluation"]["effect"] == "Allow"  # type: ignore[index]
    assert_problem(await anna.post("/evaluate", {**body, "resource": {}}), 400, "BadRequest")
    kinds = await anna.get("/api/v1/resources/Agent")
    assert len(kinds["items"]) == 2  # type: ignore[arg-type]


async def test_a_guard_gets_tokens_and_only_the_values_it_is_cleared_for(stand: Stand) -> None:
    held = await stand.held()
    session = held.lease["sessionId"]
    values = {"EMAIL_ADDRESS": "x.y@desk.example", "IBAN_CODE": "DE89370400440532013000"}
    items = [{"entityType": kind, "value": value} for kind, value in values.items()]
    for _ in range(2):
        issued = await held.guard.post("/guard/v1/pseudonyms/issue", {"sessionId": session, "items": items})
        assert issued.status == 200, issued.text
    tokens = issued["tokens"]
    assert isinstance(tokens, list) and tokens[0].startswith("EMAILx1") and tokens[1].startswith("IBANx1")
    asked = {"sessionId": session, "tokens": [*tokens, "EMAILx10000000000000000"]}
    restored = await held.guard.post("/guard/v1/pseudonyms/restore", asked)
    assert restored["values"] == {tokens[0]: "x.y@desk.example"}
    elsewhere = await stand.held("Something else.")
    asked["sessionId"] = elsewhere.lease["sessionId"]
    assert (await elsewhere.guard.post("/guard/v1/pseudonyms/restore", asked))["values"] == {}
