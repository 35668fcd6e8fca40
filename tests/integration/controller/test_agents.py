"""Single agents over HTTP: read, written against the ETag that was seen, scaled, removed; and lists that are
not sent twice."""

import asyncio
import csv
import io

import pytest

from cadre_controller.settings import Settings
from tests.integration.controller.stand import FIN, Peer, Reply, Stand

NAME = FIN.replace("/", "%2F")
PATH = f"/api/v1/agents/{NAME}"


async def spec_of(peer: Peer, path: str = PATH) -> tuple[dict[str, object], str]:
    reply = await peer.get(path)
    assert reply.status == 200
    return dict(reply["document"]["spec"]), reply.headers["Etag"]  # type: ignore[index]


async def put(peer: Peer, spec: object, path: str = PATH, **headers: str) -> Reply:
    return await peer.call("PUT", path, {"spec": spec}, **headers)


async def test_an_agent_is_read_written_against_its_etag_scaled_and_removed(stand: Stand) -> None:
    admin = await stand.person()
    spec, etag = await spec_of(admin)
    assert (await admin.get(PATH, If_None_Match=etag)).status == 304
    written = await put(admin, {**spec, "purpose": "Counts."}, If_Match=etag)
    assert (written.status, written["document"]["spec"]["purpose"]) == (200, "Counts.")  # type: ignore[index]
    stale = await put(admin, spec, If_Match=etag)
    assert (stale.status, stale["reason"]) == (412, "PreconditionFailed")
    scaled = await admin.post(f"{PATH}/scale", {"replicas": 3}, If_Match=written.headers["Etag"])
    assert scaled["document"]["spec"]["scaling"]["max"] == 3  # type: ignore[index]
    copy = await admin.post("/api/v1/agents", {"namespace": "co", "name": "copy", "spec": spec})
    assert copy.status == 201, copy.json
    again = await admin.post("/api/v1/agents", {"namespace": "co", "name": "copy", "spec": spec})
    assert (again.status, again["reason"]) == (409, "AgentExists")
    assert (await put(admin, spec, "/api/v1/agents/copy", If_None_Match="*")).status == 412
    gone = await admin.call("DELETE", "/api/v1/agents/copy")
    assert gone.status == 204
    assert (await admin.get("/api/v1/agents/copy"))["reason"] == "UnknownAgent"
    audited = await admin.get("/api/v1/audit/events?action=chart.apply")
    assert len(audited["items"]) == 5  # type: ignore[arg-type]


async def test_what_a_chart_would_refuse_is_refused_and_a_dry_run_writes_nothing(stand: Stand) -> None:
    admin, bruno = await stand.person(), await stand.person("bruno")
    spec, etag = await spec_of(admin)
    bad = await put(admin, {**spec, "nodeRef": {"name": "nowhere"}})
    assert (bad.status, bad["reason"]) == (422, "ChartInvalid")
    assert (await put(admin, {**spec, "color": "red"})).status == 422
    assert (await put(admin, spec, "/api/v1/agents/unknown")).status == 404
    assert (await put(admin, spec, "/api/v1/agents/%2Fx"))["reason"] == "BadName"
    dry = await put(admin, {**spec, "purpose": "Other."}, PATH + "?dryRun=true")
    assert dry["document"]["spec"]["purpose"] == "Other."  # type: ignore[index]
    assert (await admin.call("DELETE", "/api/v1/agents/sal?dryRun=true")).status == 204
    assert (await admin.get("/api/v1/agents/sal")).status == 200
    assert (await admin.call("DELETE", PATH))["reason"] == "ChartInvalid", "something else names it"
    assert await spec_of(admin) == (spec, etag)
    for refused in (await put(bruno, spec), await bruno.call("DELETE", PATH)):
        assert (refused.status, refused["reason"]) == (403, "AdminOnly")


async def test_of_two_writers_at_once_one_is_told(stand: Stand) -> None:
    admin = await stand.person()
    spec, etag = await spec_of(admin)
    writes = [put(admin, {**spec, "purpose": f"Purpose {n}."}, If_Match=etag) for n in range(3)]
    found = sorted(reply.status for reply in await asyncio.gather(*writes))
    assert found.count(200) == 1 and set(found) <= {200, 409, 412}


async def test_on_a_cluster_the_objects_are_the_source(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = await stand.person()
    monkeypatch.setattr(Settings, "cluster_account", property(lambda _: object()))
    reply = await admin.call("DELETE", PATH)
    assert (reply.status, reply["reason"]) == (409, "ManagedByCluster")
    assert "kubectl" in str(reply["fix"])


async def test_what_has_not_changed_is_not_sent_again(stand: Stand) -> None:
    admin = await stand.person()
    first = await admin.get("/api/v1/resources/Agent")
    etag = first.headers["Etag"]
    for known in (etag, f'"x", W/{etag}', "*"):
        assert (await admin.get("/api/v1/resources/Agent", If_None_Match=known)).status == 304
    assert (await admin.get("/api/v1/resources/Agent", If_None_Match='"other"')).status == 200


async def test_reports_for_spreadsheets(stand: Stand) -> None:
    admin = await stand.person()
    formula = {"id": "evt_x", "action": "=HYPERLINK(1)", "target": "-1", "result": "ok", "data": {}}
    assert (await admin.post("/api/v1/audit/ingest", formula)).status == 200
    events = list(csv.DictReader(io.StringIO((await admin.get("/api/v1/audit/export?format=csv")).text)))
    assert [int(event["seq"]) for event in events] == list(range(1, len(events) + 1))
    assert (events[-1]["action"], events[-1]["target"]) == ("'=HYPERLINK(1)", "-1")
    assert events[0]["action"] == "chart.apply"
    budgets = list(csv.DictReader(io.StringIO((await admin.get("/api/v1/budgets/export")).text)))
    page = await admin.get("/api/v1/budgets")
    assert [row["node"] for row in budgets] == [view["node"] for view in page["items"]]  # type: ignore[attr-defined]


async def test_a_state_write_under_one_key_happens_once(stand: Stand) -> None:
    bruno = await stand.person("bruno")
    body = {"scope": f"agent:{FIN}", "key": "a", "value": "1", "version": 0}
    path = "/api/v1/state/entry"
    first = await bruno.call("PUT", path, body, Idempotency_Key="k1")
    await bruno.call("PUT", path, {**body, "value": "2", "version": 1})
    again = await bruno.call("PUT", path, body, Idempotency_Key="k1")
    assert (again.status, again["version"], again["value"]) == (200, first["version"], "1")
    other = await bruno.call("PUT", path, {**body, "value": "3"}, Idempotency_Key="k1")
    assert (other.status, other["reason"]) == (422, "IdempotencyKeyReused")
    for _ in range(21):
        await bruno.call("PUT", path, {"scope": body["scope"], "key": "a", "value": "later"})
    forgotten = await bruno.call("PUT", path, body, Idempotency_Key="k1")
    assert (forgotten.status, forgotten["value"]) == (200, "later")
    assert (await bruno.call("PUT", path, body, Idempotency_Key="k" * 201)).status == 400
