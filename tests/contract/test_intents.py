"""Tool calls: each effect once, whatever dies in between."""

import asyncio
from pathlib import Path

import pytest

from cadre_api.protocol.guard import Completion
from cadre_api.protocol.tasks import ApprovalState, DecisionCreate, TaskCreate, TaskState
from cadre_controller.errors import LeaseLost, Unavailable
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.assembly import Services
from cadre_controller.services.models import HeldTask, IntentKind, ToolResult
from tests.contract.conftest import TENANT, opened

pytestmark = pytest.mark.postgres
TOOL, HASH = "orbit/ledger/post_entry", "sha256:aa"


async def lease(services: Services, finance: AgentIdentity) -> HeldTask:
    found = (await services.leases.claim(finance, 1, 10)).leases[0]
    return await services.leases.held(finance, found.task_id, found.fence)


@pytest.fixture
async def held(services: Services, clerk: Actor, finance: AgentIdentity) -> HeldTask:
    await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))
    return await lease(services, finance)


async def fail(services: Services, finance: AgentIdentity, held: HeldTask) -> HeldTask:
    """Lose this attempt, hold the next one."""
    await services.leases.fail(finance, held.id, Completion(fence=held.fence, reason="LeaseExpired"))
    return await lease(services, finance)


async def test_new_then_recorded(services: Services, held: HeldTask) -> None:
    intent = await services.intents.begin(held, TOOL, HASH, "call-1")
    assert intent.kind is IntentKind.NEW
    again = await services.intents.begin(held, TOOL, HASH, "call-1")
    assert again.kind is IntentKind.IN_FLIGHT
    waiting = asyncio.create_task(services.intents.wait(again, 30))
    result = ToolResult(({"type": "text", "text": "posted"},), {"id": 7}, False)
    await services.intents.record(intent, result)
    assert await waiting == result
    await services.intents.record(intent, ToolResult(is_error=True))
    third = await services.intents.begin(held, TOOL, HASH, "call-1")
    assert (third.kind, third.result) == (IntentKind.RECORDED, result)


async def test_a_call_that_runs_elsewhere_takes_its_ordinal_once(services: Services, held: HeldTask) -> None:
    ordinals = []
    for _ in range(2):
        ordinals.append(await services.intents.ordinal(held, TOOL, HASH, "call-1"))
        await services.intents.use(held, TOOL, HASH, "call-1", 1)
    assert ordinals == [1, 1]
    assert await services.intents.ordinal(held, TOOL, HASH, "call-2") == 2
    with pytest.raises(Unavailable):
        await services.intents.use(held, TOOL, HASH, "call-2", 1)


async def test_ordinals_in_an_attempt_and_across_attempts(
    services: Services, held: HeldTask, finance: AgentIdentity
) -> None:
    for n in range(2):
        intent = await services.intents.begin(held, TOOL, HASH, f"call-{n}")
        assert (intent.kind, intent.ordinal) == (IntentKind.NEW, n + 1)
        await services.intents.record(intent, ToolResult(({"n": n},)))
    second = await fail(services, finance, held)
    for n in range(2):
        replay = await services.intents.begin(second, TOOL, HASH, f"other-{n}")
        assert (replay.kind, replay.ordinal) == (IntentKind.RECORDED, n + 1)
        assert replay.result == ToolResult(({"n": n},))
    assert (await services.intents.begin(second, TOOL, HASH, "other-2")).kind is IntentKind.NEW
    assert (await services.intents.begin(second, TOOL, "sha256:bb", "other-3")).kind is IntentKind.NEW


async def test_concurrent_equal_calls_get_different_ordinals(services: Services, held: HeldTask) -> None:
    intents = await asyncio.gather(*(services.intents.begin(held, TOOL, HASH, f"c{n}") for n in range(5)))
    assert sorted(i.ordinal for i in intents) == [1, 2, 3, 4, 5]
    assert len({i.idempotency_key for i in intents}) == 5


async def test_an_abandoned_intent_is_forgotten(services: Services, held: HeldTask) -> None:
    intent = await services.intents.begin(held, TOOL, HASH, "call-1")
    await services.intents.abandon(intent)
    assert (await services.intents.begin(held, TOOL, HASH, "call-1")).kind is IntentKind.NEW


async def test_a_call_cut_by_a_dead_process_is_found_cut(
    services: Services, dsn: str, tmp_path: Path, held: HeldTask
) -> None:
    async with opened(dsn, tmp_path) as dying:
        first = await dying.intents.begin(held, TOOL, HASH, "call-1")
    found = await services.intents.begin(held, TOOL, HASH, "call-1")
    assert (found.kind, found.idempotency_key) == (IntentKind.CUT, first.idempotency_key)


async def test_unknown_outcome_asks_the_head_and_yes_runs_it_again(
    services: Services, held: HeldTask, finance: AgentIdentity
) -> None:
    await services.intents.begin(held, TOOL, HASH, "call-1")
    second = await fail(services, finance, held)
    services.intents.leave(await services.intents.begin(second, TOOL, HASH, "x"))
    cut = await services.intents.begin(second, TOOL, HASH, "x")
    assert cut.kind is IntentKind.CUT
    approval = await services.intents.outcome_unknown(second, cut)
    task = await services.tasks.get(TENANT, held.id)
    assert (task.state, task.pending_approval) == (TaskState.OUTCOME_UNKNOWN, approval.id)
    with pytest.raises(LeaseLost):
        await services.leases.held(finance, held.id, second.fence)
    head = services.directory.person_actor(TENANT, "head")
    await services.approvals.decide(head, approval.id, DecisionCreate(decision=ApprovalState.APPROVED))
    third = await lease(services, finance)
    rerun = await services.intents.begin(third, TOOL, HASH, "y")
    assert (rerun.kind, rerun.idempotency_key, rerun.ordinal) == (IntentKind.NEW, cut.idempotency_key, 1)


async def test_unknown_outcome_and_no_ends_the_task(
    services: Services, held: HeldTask, finance: AgentIdentity
) -> None:
    intent = await services.intents.begin(held, TOOL, HASH, "call-1")
    approval = await services.intents.outcome_unknown(held, intent)
    head = services.directory.person_actor(TENANT, "head")
    await services.approvals.decide(head, approval.id, DecisionCreate(decision=ApprovalState.DENIED))
    task = await services.tasks.get(TENANT, held.id)
    assert (task.state, task.reason) == (TaskState.FAILED, "OutcomeUnknown")
    assert (await services.leases.claim(finance, 1, 0)).leases == ()
