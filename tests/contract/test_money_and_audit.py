"""Budgets through the service, and an audit that anyone can verify."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import jwt
import pytest
from jwt import PyJWK

from cadre_api.protocol.guard import Completion, GuardEvent
from cadre_api.protocol.tasks import TaskCreate
from cadre_controller.errors import BudgetExceeded, Conflict, InvalidInput, NotFound
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.assembly import Services
from cadre_controller.services.budgets import SENT_AT_MOST
from cadre_controller.services.models import AuditRow, BudgetVerdict, CallOutcome, ModelCall, Span
from cadre_core.audit import verify_chain, verify_checkpoint
from tests.contract.conftest import TENANT, opened

pytestmark = pytest.mark.postgres


def call(task: str, number: int, amount: str = "0.10", tokens: int = 10) -> ModelCall:
    return ModelCall(
        TENANT,
        "orbit/finance-1",
        task,
        "ses_x",
        f"call-{number}",
        "orbit/models",
        "small",
        "work",
        Decimal(amount),
        tokens,
    )


@pytest.fixture
async def task(services: Services, clerk: Actor) -> str:
    return (await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))).view.id


async def spent(services: Services, node: str) -> tuple[Decimal, Decimal, int]:
    state = next(s for s in await services.budgets.states(TENANT) if s.node == node)
    return state.spent, state.reserved, state.tokens_spent


async def test_reserve_settle_release(services: Services, task: str) -> None:
    first = await services.budgets.reserve(call(task, 1, "1.00"))
    second = await services.budgets.reserve(call(task, 2, "2.00"))
    assert await spent(services, "orbit/finance") == (0, Decimal("3.00"), 0)
    assert await spent(services, "orbit/orbit") == (0, Decimal("3.00"), 0)
    for _ in range(2):
        await services.budgets.settle(first, CallOutcome(30, 12, Decimal("0.25")))
        await services.budgets.release(second, "ModelUnavailable")
    assert await spent(services, "orbit/finance") == (Decimal("0.25"), 0, 42)
    assert await spent(services, "orbit/orbit") == (Decimal("0.25"), 0, 42)
    usage = (await services.tasks.get(TENANT, task)).usage
    assert (usage.input_tokens, usage.output_tokens, usage.model_calls, Decimal(usage.cost)) == (
        30,
        12,
        1,
        Decimal("0.25"),
    )


async def test_what_is_sent_twice_under_one_id_is_billed_twice(services: Services, task: str) -> None:
    first = await services.budgets.reserve(call(task, 1))
    for _ in range(2):
        await services.budgets.settle(first, CallOutcome(1, 1, Decimal("0.05")))
    again = await services.budgets.reserve(call(task, 1))
    assert again.call_id == f"{first.call_id}~2"
    await services.budgets.settle(again, CallOutcome(1, 1, Decimal("0.05")))
    assert await spent(services, "orbit/finance") == (Decimal("0.10"), 0, 4)
    for _ in range(SENT_AT_MOST - 2):
        await services.budgets.reserve(call(task, 1, "0.01"))
    with pytest.raises(Conflict, match="CallRepeated"):
        await services.budgets.reserve(call(task, 1, "0.01"))


async def test_a_released_call_may_be_tried_again(services: Services, task: str) -> None:
    await services.budgets.release(await services.budgets.reserve(call(task, 1)), "ModelStreamCut")
    again = await services.budgets.reserve(call(task, 1))
    assert again.call_id == "call-1"
    await services.budgets.settle(again, CallOutcome(1, 1, Decimal("0.05")))
    assert await spent(services, "orbit/finance") == (Decimal("0.05"), 0, 2)


async def test_a_thousand_calls_at_the_cap_of_two_controllers(
    services: Services, task: str, dsn: str, tmp_path: Path
) -> None:
    async with opened(dsn, tmp_path) as other:
        results = await asyncio.gather(
            *((services, other)[n % 2].budgets.reserve(call(task, n)) for n in range(1000)),
            return_exceptions=True,
        )
    refused = [r for r in results if isinstance(r, BaseException)]
    assert len(results) - len(refused) == 50
    assert {(r.node, r.on_exceeded) for r in refused if isinstance(r, BudgetExceeded)} == {
        ("orbit/finance", "Downshift")
    }
    assert await spent(services, "orbit/finance") == (0, Decimal("5.00"), 0)
    assert await services.budgets.verdict(TENANT, "orbit/finance-1") is BudgetVerdict.DOWNSHIFT


async def test_room_of_a_lost_lease_is_given_back_and_a_late_bill_still_counts(
    services: Services, task: str, finance: AgentIdentity
) -> None:
    (lease,) = (await services.leases.claim(finance, 1, 10)).leases
    held = await services.budgets.reserve(call(task, 1, "1.00"))
    assert await services.budgets.sweep((TENANT,)) == 0
    await services.leases.fail(finance, task, Completion(fence=lease.fence, reason="AgentCrashed"))
    assert await services.budgets.sweep((TENANT,)) == 1
    assert await spent(services, "orbit/finance") == (0, 0, 0)
    for _ in range(2):
        await services.budgets.settle(held, CallOutcome(30, 12, Decimal("0.25")))
    assert await spent(services, "orbit/finance") == (Decimal("0.25"), 0, 42)
    assert await spent(services, "orbit/orbit") == (Decimal("0.25"), 0, 42)


async def test_a_bill_that_meets_the_release_counts_once(
    services: Services, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await services.budgets.reserve(call(task, 1, "1.00"))
    known = services.kernel.db.fetch_one

    async def released_after_the_look(*arguments: object) -> object:
        row = await known(*arguments)  # type: ignore[arg-type]
        monkeypatch.undo()
        assert await services.budgets.sweep((TENANT,)) == 1
        return row

    monkeypatch.setattr(type(services.kernel.db), "fetch_one", staticmethod(released_after_the_look))
    await services.budgets.settle(held, CallOutcome(30, 12, Decimal("0.25")))
    assert await spent(services, "orbit/finance") == (Decimal("0.25"), 0, 42)


async def test_free_calls_pass_a_spent_budget(services: Services, task: str) -> None:
    await services.budgets.reserve(call(task, 1, "5.00"))
    with pytest.raises(BudgetExceeded):
        await services.budgets.reserve(call(task, 2, "0.01"))
    await services.budgets.reserve(call(task, 3, "0"))
    with pytest.raises(BudgetExceeded):
        await services.budgets.reserve(call(task, 4, "0", tokens=100_001))


async def test_a_used_up_root_stops_new_tasks(services: Services, clerk: Actor, task: str) -> None:
    for n in range(2):
        sale = ModelCall(
            TENANT, "orbit/sales-1", task, "s", f"x{n}", "orbit/models", "small", "work", Decimal(5), 1
        )
        await services.budgets.reserve(sale)
    assert await services.budgets.verdict(TENANT, "orbit/sales-1") is BudgetVerdict.STOP
    with pytest.raises(BudgetExceeded):
        await services.tasks.create(clerk, TaskCreate(prompt="More.", agent="finance-1"))


async def lines(services: Services, rows: AsyncIterator[AuditRow]) -> list[str]:
    out = [json.dumps(services.audit.header(TENANT))]
    async for row in rows:
        line = {
            "seq": row.seq,
            "prevHash": row.prev_hash,
            "hash": row.hash,
            "canonical": row.canonical.decode(),
        }
        out.append(json.dumps(line))
    return out


async def test_export_verifies_and_tampering_shows(
    services: Services, task: str, finance: AgentIdentity
) -> None:
    await services.leases.claim(finance, 1, 10)
    exported = await lines(services, services.audit.export(TENANT))
    jws = await services.audit.checkpoint(TENANT)
    key = PyJWK(services.audit.public_jwk()).key

    def check(token: str) -> bytes:
        return jwt.api_jws.decode(token, key, algorithms=["EdDSA"])

    checkpoint = verify_checkpoint(jws, check)
    report = verify_chain(exported, checkpoint)
    assert (report.ok, report.count) == (True, len(exported) - 1)
    assert report.count >= 4
    assert await services.audit.checkpoint(TENANT) == jws
    forged = [line.replace("task.lease", "task.leash") for line in exported]
    assert not verify_chain(forged, checkpoint).ok
    assert not verify_chain(exported[:-1], checkpoint).ok
    assert not verify_chain([*exported[:2], *exported[3:]], checkpoint).ok
    async with services.kernel.db.connection((TENANT,)) as connection:
        await connection.execute(
            "UPDATE audit_events SET canonical = replace(convert_from(canonical, 'UTF8'), 'ok', 'no')::bytea "
            "WHERE seq = 2"
        )
    tampered = verify_chain(await lines(services, services.audit.export(TENANT)), checkpoint)
    assert (tampered.ok, tampered.first_bad) == (False, 2)


async def test_audit_filters(services: Services, clerk: Actor, task: str) -> None:
    created = await services.audit.list(
        TENANT, action="task.create", target=f"task:{task}", actor_id=clerk.id
    )
    assert len(created) == 1
    event = json.loads(created[0].canonical)
    assert event["actor"] == {"type": "Person", "id": clerk.id, "role": ""}
    assert "clerk" not in clerk.id
    assert await services.audit.list(TENANT, after=created[0].seq, action="task.create") == ()


async def test_erasing_a_salt_keeps_the_chain(services: Services, clerk: Actor) -> None:
    await services.audit.append(clerk, "note", "x", personal={"name": "Oswin Grossmark"})
    async with services.kernel.db.connection((TENANT,)) as connection:
        assert await connection.fetchval("SELECT count(*) FROM audit_salts") == 1
        await connection.execute("DELETE FROM audit_salts")
    assert verify_chain(await lines(services, services.audit.export(TENANT))).ok


async def test_reported_events_count_once(
    services: Services, finance: AgentIdentity, task: str, clerk: Actor
) -> None:
    now = services.kernel.clock.now()
    told = GuardEvent(id="e1", at=now, task_id=task, action="guard.mask", redactions={"PERSON": 2})
    lost = GuardEvent(id="e2", at=now, task_id="task_unknown", action="agent.restart")
    assert await services.audit.guard_events(finance, (told, lost)) == 2
    assert await services.audit.guard_events(finance, (told, lost)) == 0
    masked = [
        e for e in await services.tasks.events(TENANT, task) if e.data.get("redactions") == {"PERSON": 2}
    ]
    assert len(masked) == 1
    assert await services.audit.ingest(clerk, "x1", "external.thing", "y", "ok", {"n": 1})
    assert not await services.audit.ingest(clerk, "x1", "external.thing", "y", "ok", {"n": 1})
    with pytest.raises(InvalidInput, match=r"external\.thing") as refusal:
        await services.audit.ingest(clerk, "x2", "external.thing", "y", "ok", {"n": 10**30})
    assert refusal.value.reason == "NumberOutOfRange"


async def test_an_empty_chain_has_no_checkpoint(services: Services) -> None:
    with pytest.raises(NotFound, match="AuditEmpty"):
        await services.audit.checkpoint("nobody")


async def test_spans_once_and_in_order(services: Services) -> None:
    now = services.kernel.clock.now()
    spans = [Span("t" * 32, f"{n:016x}", "", f"step {n}", "guard", now, now) for n in range(3)]
    await services.spans.insert(TENANT, spans)
    await services.spans.insert(TENANT, spans)
    assert [span.name for span in await services.spans.trace(TENANT, "t" * 32)] == [
        "step 0",
        "step 1",
        "step 2",
    ]
