"""What happens rarely and must still be right: pages, statuses, waits, lapsed reservations, a failing
detector."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from cadre_api.protocol.guard import Completion, GuardRules
from cadre_api.protocol.tasks import ApprovalState, DecisionCreate, TaskCreate, TaskState
from cadre_controller.errors import (
    Conflict,
    InvalidInput,
    KeystoreError,
    MaskingFailed,
    NotFound,
    Unavailable,
)
from cadre_controller.keystore import KeyStore
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.assembly import Services, open_services, sweeps
from cadre_controller.services.leases import FOR_A_TASK
from cadre_controller.services.masking import DetectMasker
from cadre_controller.services.models import HeldTask, ModelCall, ToolApprovalRequest
from cadre_core.model import ApprovalRule
from cadre_detect import Detector
from tests.contract.company import PROMPT, documents
from tests.contract.conftest import TENANT, opened, service_config

pytestmark = pytest.mark.postgres
RULE = ApprovalRule("ReportingLine", "Head", "", 1, True, 3600, "Deny")


@pytest.fixture
async def held(services: Services, clerk: Actor, finance: AgentIdentity) -> HeldTask:
    view = (await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))).view
    lease = (await services.leases.claim(finance, 1, 10)).leases[0]
    return await services.leases.held(finance, view.id, lease.fence)


def request(number: int) -> ToolApprovalRequest:
    return ToolApprovalRequest("orbit/ledger/post_entry", {}, f"sha256:{number}", (("orbit/p#r", RULE),))


async def test_pages_cover_everything_once(services: Services, clerk: Actor, held: HeldTask) -> None:
    for n in range(4):
        await services.tasks.create(clerk, TaskCreate(prompt=f"Do {n}.", agent="finance-1"))
        await services.approvals.request_tool(held, request(n))
    for listing in (services.tasks.list, services.approvals.list):
        seen: list[str] = []
        cursor = ""
        while True:
            page = await listing(TENANT, limit=2, cursor=cursor)  # type: ignore[operator]
            seen += [item.id for item in page.items]
            cursor = page.next
            if not cursor:
                break
        assert len(seen) == len(set(seen)) >= 4
    running = await services.tasks.list(TENANT, state=TaskState.WAITING, agent="orbit/finance-1")
    assert [task.id for task in running.items] == [held.id]


async def test_status_of_task_and_session(services: Services, held: HeldTask) -> None:
    approval = await services.approvals.request_tool(held, request(1))
    for any_id in (held.id, held.session_id):
        status = await services.tasks.status(TENANT, any_id)
        assert [task.id for task in status.tasks] == [held.id]
        assert status.session.id == held.session_id
    assert [a.id for a in (await services.tasks.status(TENANT, held.id)).approvals] == [approval.id]
    with pytest.raises(NotFound, match="UnknownTask"):
        await services.tasks.status(TENANT, "task_none")
    with pytest.raises(NotFound, match="UnknownTask"):
        await services.tasks.add_event(TENANT, "task_none", "Decided")


async def test_waiting_for_another_task(services: Services, held: HeldTask) -> None:
    await services.leases.set_waiting(held, True)
    task = await services.tasks.get(TENANT, held.id)
    assert (task.state, task.pending_approval) == (TaskState.WAITING, FOR_A_TASK)
    await services.leases.set_waiting(held, False)
    assert (await services.tasks.get(TENANT, held.id)).state is TaskState.RUNNING


async def test_wait_for_the_end(services: Services, held: HeldTask, finance: AgentIdentity) -> None:
    assert (await services.tasks.wait_final(TENANT, held.id, 0)).state is TaskState.RUNNING
    waiting = asyncio.create_task(services.tasks.wait_final(TENANT, held.id, 30))
    await services.leases.complete(finance, held.id, Completion(fence=held.fence, result="done"))
    assert (await waiting).result == "done"


async def test_a_pending_approval_holds_the_next_attempt_too(
    services: Services, held: HeldTask, finance: AgentIdentity
) -> None:
    first = await services.approvals.request_tool(held, request(1))
    await services.leases.fail(finance, held.id, Completion(fence=held.fence, reason="LeaseExpired"))
    lease = (await services.leases.claim(finance, 1, 10)).leases[0]
    again = await services.leases.held(finance, held.id, lease.fence)
    assert (await services.approvals.request_tool(again, request(1))).id == first.id
    assert (await services.tasks.get(TENANT, held.id)).pending_approval == first.id


async def test_decisions_are_checked(services: Services, held: HeldTask) -> None:
    view = await services.approvals.request_tool(held, request(1))
    head = services.directory.person_actor(TENANT, "head")
    with pytest.raises(InvalidInput, match="BadDecision"):
        await services.approvals.decide(head, view.id, DecisionCreate(decision=ApprovalState.PENDING))
    with pytest.raises(NotFound, match="UnknownApproval"):
        await services.approvals.decide(head, "apr_none", DecisionCreate(decision=ApprovalState.DENIED))
    assert (await services.approvals.wait(TENANT, view.id, 0)).state is ApprovalState.PENDING


async def test_deadlines_end_tasks(services: Services, clerk: Actor) -> None:
    body = TaskCreate(prompt="Go.", agent="finance-1", deadline_seconds=1)
    view = (await services.tasks.create(clerk, body)).view
    async with asyncio.timeout(60):
        while await services.leases.reap((TENANT,)) == 0:
            await asyncio.sleep(0.05)
    ended = await services.tasks.get(TENANT, view.id)
    assert (ended.state, ended.reason) == (TaskState.FAILED, "DeadlineExceeded")


async def test_reservations_of_a_dead_process_are_released(services: Services, held: HeldTask) -> None:
    call = ModelCall(TENANT, held.agent, held.id, held.session_id, "c", "p", "m", "work", Decimal(1), 1)
    await services.budgets.reserve(call)
    async with services.kernel.db.connection((TENANT,)) as connection:
        await connection.execute("UPDATE model_calls SET reserved_at = now() - interval '2 hours'")
    assert await services.budgets.sweep((TENANT,)) == 1
    assert {state.reserved for state in await services.budgets.states(TENANT)} == {Decimal(0)}


async def test_money_of_two_currencies_is_not_added(services: Services, held: HeldTask) -> None:
    call = ModelCall(TENANT, held.agent, held.id, "s", "c", "p", "m", "work", Decimal(1), 1, currency="EUR")
    with pytest.raises(InvalidInput, match="CurrencyMismatch"):
        await services.budgets.reserve(call)


async def test_second_scan_finds_what_is_left(services: Services, held: HeldTask) -> None:
    rules = services.chart.guard_rules(TENANT, held.agent)
    assert {"IBAN_CODE", "PERSON"} <= set(await services.masker.leftovers(PROMPT, rules))
    masked = await services.masker.mask(TENANT, held.session_id, PROMPT, rules)
    assert await services.masker.leftovers(masked.text, rules) == []


async def test_a_failing_detector_stores_nothing(
    services: Services, clerk: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(Detector, "scan", broken)
    with pytest.raises(MaskingFailed) as refusal:
        await services.tasks.create(clerk, TaskCreate(prompt=PROMPT, agent="finance-1"))
    assert "Hohenfels" not in str(refusal.value)
    assert (await services.tasks.list(TENANT)).items == ()


async def test_every_sweep_runs(services: Services, held: HeldTask) -> None:
    await services.approvals.request_tool(held, request(1))
    for sweep in sweeps(services, 1.0):
        await sweep.run()
    assert isinstance(services.masker, DetectMasker)
    await services.masker.warm_up()
    rules = services.chart.guard_rules(TENANT, "")
    assert {"Konstantin Hohenfels"} <= {term.text for term in rules.terms}
    assert isinstance(rules, GuardRules)


async def test_start_refuses_what_it_cannot_open(dsn: str, tmp_path: Path) -> None:
    async with opened(dsn, tmp_path) as services:
        assert await services.ready()
    (tmp_path / "other").mkdir()
    KeyStore.open(tmp_path / "other" / "keystore.json", key_file=tmp_path / "other" / "keystore.key")
    (tmp_path / "keystore.key").write_bytes((tmp_path / "other" / "keystore.key").read_bytes())
    with pytest.raises(KeystoreError, match="KeystoreWrongKey"):
        async with open_services(service_config(dsn, tmp_path)):
            pass
    with pytest.raises(KeystoreError, match="SealBroken"):
        async with open_services(service_config(dsn, tmp_path / "other")):
            pass
    nowhere = f"postgresql://nobody@/none?host={tmp_path}"
    with pytest.raises(Unavailable):
        async with open_services(service_config(nowhere, tmp_path / "other")):
            pass


async def test_the_same_file_of_a_stale_process_is_refused(
    services: Services, dsn: str, tmp_path: Path
) -> None:
    """Two processes apply at once: the one that compiled against the older chart is told."""
    admin = services.directory.admin_actor(TENANT)
    async with opened(dsn, tmp_path) as other:
        await services.chart.apply(documents(root_budget="11.00"), admin)
        with pytest.raises(Conflict, match="StateChanged"):
            await other.chart.apply(documents(root_budget="12.00"), admin)
        assert (await other.chart.apply(documents(root_budget="12.00"), admin)).changed
