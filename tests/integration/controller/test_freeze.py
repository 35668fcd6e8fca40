"""Stop, through the real ports: everything of a frozen agent ends on every replica, nothing is lost by it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from cadre_controller.main import Serving, serve
from tests.integration.controller.stand import FIN, SAL, Held, Peer, Stand, settings, until
from tests.integration.controller.test_ports import assert_problem

pytestmark = pytest.mark.postgres
LONG = 60.0
"""Seconds that an open request would take if nobody cut it."""


@asynccontextmanager
async def replica(stand: Stand, database: str) -> AsyncIterator[Serving]:
    """A second controller on the same database."""
    async with serve(settings(stand.root, database)) as other:
        yield other


def at(peer: Peer, other: Serving) -> Peer:
    """The same caller at the guard port of another replica."""
    return Peer(peer.http, f"http://127.0.0.1:{other.guard_port}", peer.token)


async def freeze(
    stand: Stand, scope: str, target: str = "", by: str = "", **more: object
) -> dict[str, object]:
    """Freeze; what the port answers."""
    body = {"scope": scope, "target": target, "reason": "stop it", **more}
    reply = await (await stand.person(by)).post("/api/v1/freeze", body)
    assert reply.status == 200, reply.text
    return reply.json


async def thaw(stand: Stand, scope: str, target: str = "", by: str = "") -> None:
    """Thaw."""
    reply = await (await stand.person(by)).post("/api/v1/thaw", {"scope": scope, "target": target})
    assert reply.status == 200, reply.text


async def streamed(held: Held, begun: asyncio.Event) -> bytes:
    """A model stream that hangs in its middle, read until somebody cuts it."""
    body = {"model": "cadre-work", "stream": True, "messages": [{"role": "user", "content": "please-hang"}]}
    headers = held.model_headers() | {"Authorization": f"Bearer {held.guard.token}"}
    url = f"{held.guard.base}/guard/v1/model/chat/completions"
    got = b""
    async with held.guard.http.post(url, json=body, headers=headers) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            async for chunk in response.content.iter_any():
                got += chunk
                if b"This" in got:
                    begun.set()
    return got


async def audited(stand: Stand, action: str) -> list[dict[str, object]]:
    """Audit records of an action."""
    reply = await (await stand.person()).get(f"/api/v1/audit/events?action={action}")
    items = reply["items"]
    assert isinstance(items, list)
    return [json.loads(item["canonical"]) for item in items]


async def test_what_is_open_ends_on_every_replica(stand: Stand, database: str) -> None:
    async with replica(stand, database) as other:
        held = await stand.held()
        held.guard = at(held.guard, other)
        sal = await stand.agent(SAL)
        begun = asyncio.Event()
        polls = [
            asyncio.create_task(streamed(held, begun)),
            asyncio.create_task(held.guard.get(f"/guard/v1/bundle?after=99&wait={LONG}")),
            asyncio.create_task(held.guard.post("/guard/v1/claims", {"capacity": 1, "waitSeconds": LONG})),
        ]
        unharmed = asyncio.create_task(sal.get(f"/guard/v1/bundle?after=99&wait={LONG}"))
        await asyncio.wait_for(begun.wait(), 120)
        view = await freeze(stand, "Agent", FIN, by="bruno")
        assert view["by"] == "co/bruno" and view["agents"] == [FIN]
        cut, bundle, claims = await asyncio.wait_for(asyncio.gather(*polls), 120)
        assert b"This" in cut and b"[DONE]" not in cut
        assert_problem(bundle, 403, "Frozen")
        assert_problem(claims, 403, "Frozen")
        assert not unharmed.done()
        unharmed.cancel()
        await asyncio.wait([unharmed])


async def test_a_frozen_agent_is_refused_everything_and_its_work_waits(stand: Stand) -> None:
    held = await stand.held()
    person = await stand.person()
    waiting = (await person.post("/api/v1/tasks", {"prompt": "Later.", "agent": FIN}))["id"]
    await freeze(stand, "Node", "co/finance", by="bruno")
    assert_problem(await held.chat("hello"), 403, "Frozen")
    assert_problem(await held.tool("desk_read", {"what": "x"}), 403, "Frozen")
    fence = {"fence": held.lease["fence"]}
    assert_problem(await held.guard.post(f"/guard/v1/leases/{held.task}/heartbeat", fence), 403, "Frozen")
    proof = {"bootstrap": f"secret of {FIN}", "agent": FIN, "instance": "i-2"}
    assert_problem(await stand.guard().post("/guard/v1/token", proof), 403, "Frozen")
    services = stand.runtime.services
    far = services.kernel.clock.now().replace(year=2999)
    services.kernel.clock.now, real = (lambda: far), services.kernel.clock.now
    try:
        assert await services.leases.reap(("co",)) == 0
    finally:
        services.kernel.clock.now = real
    await thaw(stand, "Node", "co/finance", by="bruno")
    assert (await held.chat("hello")).status == 200
    assert (await held.guard.post(f"/guard/v1/leases/{held.task}/heartbeat", fence)).status == 200
    done = {"fence": held.lease["fence"], "result": "done"}
    assert (await held.guard.post(f"/guard/v1/leases/{held.task}/complete", done)).status == 204
    assert (await stand.claim()).task == waiting
    story = (await person.get(f"/api/v1/tasks/{held.task}/events"))["items"]
    kinds = [event["kind"] for event in story]  # type: ignore[attr-defined]
    assert kinds.index("Frozen") < kinds.index("Thawed") < kinds.index("Succeeded")


async def test_a_tool_call_in_the_middle_goes_on_after_the_thaw(stand: Stand) -> None:
    held = await stand.held()
    stand.desk_flag("slow")
    call = asyncio.create_task(held.tool("desk_read", {"what": "x"}))
    await until(lambda: _called(stand, 1), 120)
    await freeze(stand, "Tenant")
    assert_problem(await asyncio.wait_for(call, 120), 403, "Frozen")
    (stand.root / "desk" / "slow").unlink()
    await thaw(stand, "Tenant")
    again = await held.tool("desk_read", {"what": "x"})
    assert again.status == 200 and again["isError"] is False, again.text
    assert {c["key"] for c in stand.desk_calls()} == {stand.desk_calls()[0]["key"]}


async def _called(stand: Stand, count: int) -> bool:
    return len(stand.desk_calls()) == count


async def test_heads_freeze_and_nobody_below_thaws(stand: Stand) -> None:
    anna, bruno, clara = [await stand.person(name) for name in ("anna", "bruno", "clara")]
    fin = {"scope": "Agent", "target": "fin", "reason": "look into it"}
    refused = await clara.post("/api/v1/freeze", fin)
    assert_problem(refused, 403, "NotEntitled")
    assert "co/bruno, co/anna" in str(refused["detail"])
    assert_problem(await bruno.post("/api/v1/freeze", {"scope": "Tenant", "reason": "x"}), 403, "NotEntitled")
    assert (await bruno.post("/api/v1/freeze", fin)).status == 200
    assert (await anna.post("/api/v1/freeze", fin)).status == 200
    assert_problem(await bruno.post("/api/v1/thaw", fin), 403, "NotEntitled")
    shown = (await clara.get("/api/v1/freezes"))["items"]
    assert [(f["target"], f["by"], f["reason"]) for f in shown] == [(FIN, "co/anna", "look into it")]  # type: ignore[attr-defined]
    agents = (await clara.get("/api/v1/agents"))["items"]
    assert {a["key"]: a["frozen"] for a in agents} == {FIN: "look into it", SAL: ""}  # type: ignore[attr-defined]
    assert (await anna.post("/api/v1/thaw", fin)).status == 200
    assert_problem(await anna.post("/api/v1/thaw", fin), 404, "NotFrozen")
    assert_problem(await anna.post("/api/v1/freeze", fin | {"target": "nobody"}), 404, "UnknownAgent")
    assert [r["action"] for r in await audited(stand, "freeze")] == ["freeze", "freeze"]
    assert len(await audited(stand, "thaw")) == 1
    assert "look into it" not in str(await audited(stand, "freeze"))


async def test_in_an_emergency_anyone_breaks_the_glass(stand: Stand) -> None:
    view = await freeze(stand, "Agent", FIN, by="clara", breakGlass=True)
    assert view["breakGlass"] is True and view["by"] == "co/clara"
    clara = await stand.person("clara")
    assert_problem(await clara.post("/api/v1/thaw", {"scope": "Agent", "target": FIN}), 403, "NotEntitled")
    await thaw(stand, "Agent", FIN, by="bruno")
    record = (await audited(stand, "freeze"))[0]
    assert record["data"]["breakGlass"] is True  # type: ignore[index]


async def test_a_chart_that_says_freeze_is_obeyed_and_taken_back_there(stand: Stand) -> None:
    text = stand.chart_text()
    said = text.replace("  title: Finance\n", "  title: Finance\n  freeze: {reason: leak}\n", 1)
    admin = await stand.person()
    document = {"documents": [{"file": "chart.yaml", "text": said}]}
    guard = await stand.agent()
    assert (await admin.post("/api/v1/apply?dryRun=true", document)).status == 200
    assert (await guard.get("/guard/v1/models")).status == 200
    assert (await admin.post("/api/v1/apply", document)).status == 200
    assert_problem(await guard.get("/guard/v1/models"), 403, "Frozen")
    node = {"scope": "Node", "target": "finance"}
    assert_problem(await admin.post("/api/v1/thaw", node), 409, "DeclaredFreeze")
    assert (await stand.apply()).status == 200
    assert (await guard.get("/guard/v1/models")).status == 200


async def test_a_replica_that_starts_knows_what_is_frozen(stand: Stand, database: str) -> None:
    guard = await stand.agent()
    await freeze(stand, "Tenant")
    async with replica(stand, database) as other:
        assert_problem(await at(guard, other).get("/guard/v1/models"), 403, "Frozen")
        await thaw(stand, "Tenant")

        async def thawed() -> bool:
            return (await at(guard, other).get("/guard/v1/models")).status == 200

        await until(thawed, 120)
