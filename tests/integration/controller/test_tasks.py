"""Tasks over HTTP: idempotent, told as they happen, and seen only by those whose business they are."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp

from tests.integration.controller.stand import SAL, Peer, Stand
from tests.integration.controller.test_ports import assert_problem

PROMPT = "Write to Frank Miller, frank.miller@desk.example, about DE89370400440532013000."


async def events(stand: Stand, peer: Peer, path: str, **headers: str) -> AsyncIterator[dict[str, str]]:
    """Server-sent events until the stream ends; comments as {"comment": …}."""
    given = {"Authorization": f"Bearer {peer.token}", "Accept": "text/event-stream"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with stand.http.get(peer.base + path, headers=given) as response:
        assert response.content_type == "text/event-stream"
        event: dict[str, str] = {}
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            name, _, value = line.partition(": ")
            if not line:
                yield event
                event = {}
            else:
                event[name or "comment"] = value


async def test_a_key_makes_one_task_and_another_body_is_refused(stand: Stand) -> None:
    bruno = await stand.person("bruno")
    body = {"prompt": PROMPT, "agent": "fin"}
    first = await bruno.post("/api/v1/tasks", body, Idempotency_Key="k1")
    again = await bruno.post("/api/v1/tasks", body, Idempotency_Key="k1")
    assert (first.status, again.status) == (201, 200)
    assert first["id"] == again["id"] and first["prompt"] == again["prompt"]
    other = await bruno.post("/api/v1/tasks", {**body, "prompt": "else"}, Idempotency_Key="k1")
    assert_problem(other, 422, "IdempotencyKeyReused")
    assert (await bruno.post("/api/v1/tasks", body, Idempotency_Key="k2"))["id"] != first["id"]


async def test_each_reader_sees_what_clearance_allows(stand: Stand) -> None:
    bruno = await stand.person("bruno")
    created = await bruno.post("/api/v1/tasks", {"prompt": PROMPT, "agent": "fin"})
    seen = str(created["prompt"])
    assert "frank.miller@desk.example" in seen and "DE89" not in seen and "IBANx1" in seen
    anna = await stand.person("anna")
    assert (await anna.get(f"/api/v1/tasks/{created['id']}"))["prompt"] == PROMPT
    stored = await stand.runtime.services.tasks.get("co", str(created["id"]))
    assert "Miller" not in stored.prompt and "DE89" not in stored.prompt


async def test_a_stranger_does_not_even_learn_that_a_task_exists(stand: Stand) -> None:
    task = str(
        (await (await stand.person("bruno")).post("/api/v1/tasks", {"prompt": "x", "agent": "fin"}))["id"]
    )
    clara = await stand.person("clara")
    for path in ("", "/result", "/events"):
        assert_problem(await clara.get(f"/api/v1/tasks/{task}{path}"), 404)
    assert_problem(await clara.post(f"/api/v1/tasks/{task}/cancel"), 404)
    assert_problem(await clara.get(f"/api/v1/status/{task}"), 404)
    assert (await clara.get("/api/v1/tasks"))["items"] == []
    assert len((await (await stand.person("anna")).get("/api/v1/tasks"))["items"]) == 1  # type: ignore[arg-type]


async def test_a_dry_run_commits_nothing_and_a_route_explains_itself(stand: Stand) -> None:
    bruno = await stand.person("bruno")
    tried = await bruno.post("/api/v1/tasks", {"prompt": "x", "agent": "fin", "dryRun": True})
    assert tried.status == 200
    assert (await bruno.get("/api/v1/tasks"))["items"] == []
    routed = await bruno.post("/api/v1/tasks/route", {"prompt": "x", "role": "base"})
    assert routed["agent"] == "co/fin" and routed["candidates"]


async def test_a_story_is_streamed_to_its_end_and_resumes(stand: Stand) -> None:
    held = await stand.held(PROMPT, by="bruno")
    bruno = await stand.person("bruno")
    path = f"/api/v1/tasks/{held.task}/events?tree=true"

    async def watch() -> list[dict[str, str]]:
        return [event async for event in events(stand, bruno, path)]

    watching = asyncio.create_task(watch())
    await held.chat("hello")
    result = str(held.lease["prompt"])
    done = await held.guard.post(f"/guard/v1/leases/{held.task}/complete", {"fence": 1, "result": result})
    assert done.status == 204
    told = [event for event in await watching if "id" in event]
    kinds = [event["event"] for event in told]
    assert kinds[0] == "Created" and kinds[-1] == "Succeeded" and "ModelCalled" in kinds
    assert [json.loads(event["data"])["seq"] for event in told] == [int(event["id"]) for event in told]
    rest = [event async for event in events(stand, bruno, path, Last_Event_ID=told[2]["id"])]
    assert [event["id"] for event in rest] == [event["id"] for event in told[3:]]
    view = await bruno.get(f"/api/v1/tasks/{held.task}/result")
    assert view["state"] == "Succeeded" and "frank.miller@desk.example" in str(view["result"])
    assert_problem(await bruno.get(path, Accept="text/event-stream", Last_Event_ID="x"), 400, "BadRequest")


async def test_completing_twice_changes_nothing(stand: Stand) -> None:
    held = await stand.held()
    for result in ("one", "two"):
        body = {"fence": held.lease["fence"], "result": result}
        assert (await held.guard.post(f"/guard/v1/leases/{held.task}/complete", body)).status == 204
    view = await (await stand.person()).get(f"/api/v1/tasks/{held.task}")
    assert view["result"] == "one"


async def test_a_cancelled_task_is_told_to_its_guard(stand: Stand) -> None:
    held = await stand.held(by="bruno")
    bruno = await stand.person("bruno")
    assert (await bruno.post(f"/api/v1/tasks/{held.task}/cancel"))["state"] == "Cancelled"
    beat = await held.guard.post(f"/guard/v1/leases/{held.task}/heartbeat", {"fence": held.lease["fence"]})
    assert beat["cancelled"] is True
    assert_problem(await held.chat("hello"), 409, "LeaseLost")


async def test_a_failed_attempt_runs_again(stand: Stand) -> None:
    held = await stand.held()
    body = {"fence": held.lease["fence"], "reason": "ModelUnavailable", "message": "later"}
    assert (await held.guard.post(f"/guard/v1/leases/{held.task}/fail", body)).status == 204
    again = await stand.claim()
    assert again.task == held.task and again.lease["attempt"] == 2


async def test_long_polls_wait_and_end(stand: Stand) -> None:
    guard = await stand.agent()
    claim = asyncio.create_task(guard.post("/guard/v1/claims", {"capacity": 1, "waitSeconds": 30}))
    bundle = await guard.get("/guard/v1/bundle?after=0&wait=1")
    assert bundle.status == 200 and str(bundle["jws"]).count(".") == 2
    assert (await guard.get("/guard/v1/bundle?after=99&wait=0.1")).status == 204
    person = await stand.person("bruno")
    await person.post("/api/v1/tasks", {"prompt": "x", "agent": "fin"})
    reply = await claim
    assert len(reply["leases"]) == 1  # type: ignore[arg-type]


async def test_a_claim_by_a_guard_that_left_takes_nothing(stand: Stand) -> None:
    guard = await stand.agent()
    url, headers = f"{guard.base}/guard/v1/claims", {"Authorization": f"Bearer {guard.token}"}
    leaving = asyncio.create_task(_post(stand.http, url, headers))
    await asyncio.sleep(0.3)
    leaving.cancel()
    await asyncio.sleep(1.5)
    person = await stand.person("bruno")
    created = await person.post("/api/v1/tasks", {"prompt": "x", "agent": "fin"})
    again = await guard.post("/guard/v1/claims", {"capacity": 1, "waitSeconds": 5})
    assert again["leases"][0]["taskId"] == created["id"]  # type: ignore[index]
    assert again["leases"][0]["attempt"] == 1  # type: ignore[index]


async def _post(http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
    async with http.post(url, json={"capacity": 1, "waitSeconds": 30}, headers=headers):
        pass


async def test_an_agent_of_sales_is_not_finances(stand: Stand) -> None:
    held = await stand.held(agent=SAL)
    assert_problem(
        await held.tool("mesh_fetch_status", {"taskId": "task_x"}, do="decide"), 200
    ) if False else None
    reply = await held.tool("desk_read", {"what": "x"})
    assert reply["evaluation"]["reason"] == "NotInProfile"  # type: ignore[index]
