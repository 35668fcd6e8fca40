"""Tasks and leases on the real store: made once, held by one, never lost, ended once."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cadre_api.protocol.guard import Completion, GuardStatus, Lease
from cadre_api.protocol.tasks import TaskCreate, TaskState
from cadre_controller.errors import Conflict, Denied, IdempotencyKeyReused, InvalidInput, LeaseLost, NotFound
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.assembly import Services
from cadre_controller.services.endings import pause_before
from cadre_detect import find_tokens, restore_text
from tests.contract.company import PROMPT, SEEDED, documents
from tests.contract.conftest import TENANT, opened

pytestmark = pytest.mark.postgres


async def claim_one(services: Services, identity: AgentIdentity) -> Lease:
    response = await services.leases.claim(identity, 1, 10)
    assert len(response.leases) == 1
    return response.leases[0]


async def test_same_key_same_task(services: Services, clerk: Actor) -> None:
    body = TaskCreate(prompt="Close the month.", role="finance")
    results = await asyncio.gather(
        *(services.tasks.create(clerk, body, idempotency_key="k1") for _ in range(8))
    )
    assert len({created.view.id for created in results}) == 1
    assert sum(not created.replayed for created in results) == 1
    assert len({created.view.model_dump_json() for created in results}) == 1
    with pytest.raises(IdempotencyKeyReused):
        await services.tasks.create(clerk, TaskCreate(prompt="Other.", role="finance"), idempotency_key="k1")
    assert len((await services.tasks.list(TENANT)).items) == 1


async def test_a_key_gives_its_first_answer_again_route_and_all(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    body = TaskCreate(prompt="Close the month.", role="finance")
    first = await services.tasks.create(clerk, body, idempotency_key="k1")
    lease = await claim_one(services, finance)
    await services.leases.complete(finance, lease.task_id, Completion(fence=lease.fence, result="Closed."))
    again = await services.tasks.create(clerk, body, idempotency_key="k1")
    assert again.replayed
    assert first.view.route is not None
    assert again.view == first.view


async def test_prompt_is_masked_before_it_is_stored_and_restores_exactly(
    services: Services, clerk: Actor
) -> None:
    view = (await services.tasks.create(clerk, TaskCreate(prompt=PROMPT, agent="finance-1"))).view
    assert not [value for value in SEEDED if value in view.prompt]
    stored = await services.tasks.get(TENANT, view.id)
    assert stored.prompt == view.prompt
    tokens = [match.text for match in find_tokens(stored.prompt)]
    everything = frozenset({"INTERNAL", "PII", "FINANCIAL", "CREDENTIALS"})
    values = await services.pseudonyms.restore(clerk, view.session_id, tokens, everything)
    assert restore_text(stored.prompt, values) == PROMPT
    cleared = await services.pseudonyms.restore(clerk, view.session_id, tokens, frozenset({"PII"}))
    assert "DE89370400440532013000" not in cleared.values()
    assert "Konstantin Hohenfels" in cleared.values()


async def test_what_policy_blocks_is_refused_and_stored_nowhere(services: Services, clerk: Actor) -> None:
    secret = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"
    with pytest.raises(Denied) as refusal:
        await services.tasks.create(clerk, TaskCreate(prompt=f"Use {secret}", agent="finance-1"))
    assert refusal.value.reason == "CredentialsBlocked"
    assert "MIIEvQ" not in str(refusal.value)
    assert (await services.tasks.list(TENANT)).items == ()


async def test_fifty_claimers_one_lease_each_task(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    created = await asyncio.gather(
        *(services.tasks.create(clerk, TaskCreate(prompt=f"Do {n}.", agent="finance-1")) for n in range(20))
    )
    answers = await asyncio.gather(*(services.leases.claim(finance, 1, 0) for _ in range(50)))
    leased = [lease.task_id for answer in answers for lease in answer.leases]
    assert sorted(leased) == sorted(c.view.id for c in created)


async def test_two_processes_never_lease_a_task_twice(
    services: Services, dsn: str, tmp_path: Path, clerk: Actor, finance: AgentIdentity
) -> None:
    for n in range(12):
        await services.tasks.create(clerk, TaskCreate(prompt=f"Do {n}.", agent="finance-1"))
    async with opened(dsn, tmp_path) as other:
        answers = await asyncio.gather(
            *(s.leases.claim(finance, 3, 0) for _ in range(10) for s in (services, other))
        )
    leased = [lease.task_id for answer in answers for lease in answer.leases]
    assert len(leased) == len(set(leased)) == 12


async def test_waiting_claim_wakes_on_a_new_task(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    waiting = asyncio.create_task(services.leases.claim(finance, 1, 30))
    view = (await services.tasks.create(clerk, TaskCreate(prompt="Now.", agent="finance-1"))).view
    assert [lease.task_id for lease in (await waiting).leases] == [view.id]


async def test_complete_once(services: Services, clerk: Actor, finance: AgentIdentity) -> None:
    view = (await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))).view
    lease = await claim_one(services, finance)
    beat = await services.leases.heartbeat(finance, view.id, lease.fence)
    assert not beat.cancelled
    done = Completion(fence=lease.fence, result="42")
    await services.leases.complete(finance, view.id, done)
    await services.leases.complete(finance, view.id, done)
    final = await services.tasks.get(TENANT, view.id)
    assert (final.state, final.result) == (TaskState.SUCCEEDED, "42")
    kinds = [event.kind for event in await services.tasks.events(TENANT, view.id)]
    assert kinds == ["Created", "Masked", "Routed", "Leased", "Succeeded"]
    with pytest.raises(LeaseLost):
        await services.leases.held(finance, view.id, lease.fence)


async def test_new_instance_takes_over_at_once(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    view = (await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))).view
    lease = await claim_one(services, finance)
    newer = AgentIdentity(TENANT, finance.agent, "instance-b")
    assert await services.leases.take_over(newer) == 1
    with pytest.raises(LeaseLost):
        await services.leases.heartbeat(finance, view.id, lease.fence)
    with pytest.raises(LeaseLost):
        await services.leases.complete(finance, view.id, Completion(fence=lease.fence, result="late"))
    with pytest.raises(Conflict, match="InstanceRetired"):
        await services.leases.claim(finance, 1, 0)
    with pytest.raises(Conflict, match="InstanceRetired"):
        await services.leases.take_over(finance)
    again = await claim_one(services, newer)
    assert (again.task_id, again.attempt, again.fence > lease.fence) == (view.id, 2, True)


async def test_failures_retry_until_dead(services: Services, clerk: Actor, finance: AgentIdentity) -> None:
    body = TaskCreate(prompt="Go.", agent="finance-1", max_attempts=2)
    view = (await services.tasks.create(clerk, body)).view
    for _ in range(2):
        lease = await claim_one(services, finance)
        await services.leases.fail(finance, view.id, Completion(fence=lease.fence, reason="LeaseExpired"))
    final = await services.tasks.get(TENANT, view.id)
    assert (final.state, final.attempt, final.reason) == (TaskState.DEAD, 2, "LeaseExpired")


async def test_not_retryable_fails_at_once(services: Services, clerk: Actor, finance: AgentIdentity) -> None:
    view = (await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))).view
    lease = await claim_one(services, finance)
    gone = Completion(fence=lease.fence, reason="PolicyDenied", message="no", retryable=False)
    await services.leases.fail(finance, view.id, gone)
    final = await services.tasks.get(TENANT, view.id)
    assert (final.state, final.reason, final.message) == (TaskState.FAILED, "PolicyDenied", "no")


async def test_lapsed_lease_is_taken_back_but_a_kept_one_is_not(dsn: str, tmp_path: Path) -> None:
    async with opened(dsn, tmp_path, lease_ttl_seconds=0.05) as services:
        clerk = services.directory.person_actor(TENANT, "clerk")
        identity = AgentIdentity(TENANT, "orbit/finance-1", "a")
        await services.leases.take_over(identity)
        view = (await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))).view
        lease = await claim_one(services, identity)
        async with asyncio.timeout(60):
            while await services.leases.reap((TENANT,)) == 0:
                await asyncio.sleep(0.02)
        assert (await services.tasks.get(TENANT, view.id)).reason == "LeaseExpired"
        with pytest.raises(LeaseLost):
            await services.leases.heartbeat(identity, view.id, lease.fence)
    async with opened(dsn, tmp_path, lease_ttl_seconds=60) as services:
        lease = await claim_one(services, identity)
        assert await services.leases.reap((TENANT,)) == 0
        await services.leases.heartbeat(identity, view.id, lease.fence)


async def test_restart_gives_leases_grace(dsn: str, tmp_path: Path) -> None:
    async with opened(dsn, tmp_path, lease_ttl_seconds=0.01) as services:
        clerk = services.directory.person_actor(TENANT, "clerk")
        identity = AgentIdentity(TENANT, "orbit/finance-1", "a")
        await services.leases.take_over(identity)
        view = (await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))).view
        lease = await claim_one(services, identity)
    async with opened(dsn, tmp_path, lease_ttl_seconds=60) as services:
        assert await services.leases.reap((TENANT,)) == 0
        await services.leases.complete(identity, view.id, Completion(fence=lease.fence, result="kept"))
        assert (await services.tasks.get(TENANT, view.id)).state is TaskState.SUCCEEDED


async def test_cancel_ends_the_tree_and_tells_the_guard(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    view = (await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))).view
    lease = await claim_one(services, finance)
    held = await services.leases.held(finance, view.id, lease.fence)
    asking = finance.actor
    child = (
        await services.tasks.create(
            asking, TaskCreate(prompt="Help.", agent="sales-1"), parent=held.as_parent()
        )
    ).view
    assert child.parent_task_id == view.id
    assert child.requester == clerk.id
    assert child.trace_id == view.trace_id
    await services.tasks.cancel(clerk, view.id)
    states = {t.id: t.state for t in (await services.tasks.list(TENANT)).items}
    assert states == {view.id: TaskState.CANCELLED, child.id: TaskState.CANCELLED}
    beat = await services.leases.heartbeat(finance, view.id, lease.fence)
    assert beat.cancelled
    assert (await services.leases.claim(finance, 1, 0)).cancelled == (view.id,)
    assert (await services.leases.claim(finance, 1, 0)).cancelled == ()
    with pytest.raises(LeaseLost):
        await services.leases.complete(finance, view.id, Completion(fence=lease.fence, result="late"))


async def test_deadline_ends_a_task(services: Services, clerk: Actor) -> None:
    view = (
        await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1", deadline_seconds=1))
    ).view
    later = datetime.now(UTC) + timedelta(seconds=2)
    due = await services.kernel.db.fetch(TENANT, "task_overdue", later, [])
    assert [row["id"] for row in due] == [view.id]
    frozen = ["orbit/finance-1"]
    assert not await services.kernel.db.fetch(TENANT, "task_overdue", later, frozen)


async def test_events_are_one_story_for_the_tree(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    view = (await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))).view
    lease = await claim_one(services, finance)
    held = await services.leases.held(finance, view.id, lease.fence)
    last = (await services.tasks.events(TENANT, view.id))[-1].seq
    waiting = asyncio.create_task(
        services.tasks.wait_events(TENANT, view.id, after=last, tree=True, wait_seconds=30)
    )
    child = await services.tasks.create(
        finance.actor, TaskCreate(prompt="Help.", agent="sales-1"), parent=held.as_parent()
    )
    assert {event.task_id for event in await waiting} == {child.view.id}


async def test_unroutable_tasks_say_why(services: Services, clerk: Actor) -> None:
    for body, reason in (
        (TaskCreate(prompt="x", agent="nobody"), "UnknownAgent"),
        (TaskCreate(prompt="x", role="pilot"), "NoSuchRole"),
        (TaskCreate(prompt="x", skills=("flying",)), "NoSkill"),
    ):
        with pytest.raises(NotFound) as refusal:
            await services.tasks.create(clerk, body)
        assert refusal.value.reason == reason
        assert refusal.value.fix


async def test_policy_denial_is_refused_and_audited(services: Services, clerk: Actor) -> None:
    policy = """
---
apiVersion: cadre.dev/v1alpha1
kind: Policy
metadata: {name: closed, namespace: orbit}
spec:
  targets: [{nodeRef: {name: finance}, scope: Subtree}]
  rules: [{name: no-tasks, effect: Deny, actions: [RouteTask]}]
"""
    admin = services.directory.admin_actor(TENANT)
    await services.chart.apply(documents(extra=policy), admin)
    with pytest.raises(Denied):
        await services.tasks.create(clerk, TaskCreate(prompt="x", agent="finance-1"))
    denied = await services.audit.list(TENANT, action="task.create")
    assert b'"result":"denied"' in denied[-1].canonical


async def test_recipes_are_filled(services: Services, clerk: Actor) -> None:
    body = TaskCreate(prompt="To all.", agent="finance-1", recipe="greet", parameters={"tone": "warm"})
    assert (await services.tasks.create(clerk, body)).view.prompt == "Please write in a warm tone.\n\nTo all."
    with pytest.raises(InvalidInput, match="BadParameters"):
        await services.tasks.create(clerk, TaskCreate(prompt="x", agent="finance-1", recipe="greet"))


async def test_dry_run_commits_nothing(services: Services, clerk: Actor) -> None:
    created = await services.tasks.create(clerk, TaskCreate(prompt="x", agent="finance-1", dry_run=True))
    assert created.view.route is not None
    assert (await services.tasks.list(TENANT)).items == ()


def test_backoff_doubles_within_bounds() -> None:
    pauses = [pause_before("ModelUnavailable", attempt, 0.999).total_seconds() for attempt in range(1, 12)]
    assert pauses == sorted(pauses)
    assert pauses[-1] <= 120
    assert pause_before("LeaseExpired", 5, 0.5) == timedelta(0)


def test_a_missing_credential_is_waited_for_as_long_as_a_kubelet_takes_to_mount_it() -> None:
    usual = TaskCreate(prompt="x", agent="a").max_attempts
    pauses = [pause_before("CredentialMissing", attempt, 0.0) for attempt in range(1, usual)]
    assert sum(pauses, timedelta(0)) >= timedelta(minutes=2)


async def test_a_task_without_a_credential_waits_and_says_what_to_do(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    view = (await services.tasks.create(clerk, TaskCreate(prompt="x", agent="finance-1"))).view
    lease = (await services.leases.claim(finance, 1, 10)).leases[0]
    told = (
        "the credential of provider orbit/models is not set: "
        "store it as secret/models/apiKey in the keystore, or set CADRE_SECRET_MODELS_APIKEY"
    )
    body = Completion(fence=lease.fence, reason="CredentialMissing", message=told, retryable=True)
    await services.leases.fail(finance, view.id, body)
    waiting = await services.tasks.get(TENANT, view.id)
    assert (waiting.state, waiting.reason, waiting.message) == (TaskState.QUEUED, "CredentialMissing", told)


async def test_replicas_work_side_by_side_and_each_takes_over_only_its_own(
    services: Services, clerk: Actor
) -> None:
    first, second = (
        AgentIdentity(TENANT, "orbit/finance-1", f"uid-{n}", f"agent-finance-1-{n}") for n in (0, 1)
    )
    for identity in (first, second):
        await services.leases.take_over(identity)
    views = [
        (await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))).view
        for _ in range(2)
    ]
    held = await asyncio.gather(services.leases.claim(first, 1, 5), services.leases.claim(second, 1, 5))
    leases = [answer.leases[0] for answer in held]
    assert {lease.task_id for lease in leases} == {view.id for view in views}

    newer = AgentIdentity(TENANT, first.agent, "uid-0b", first.replica)
    assert await services.leases.take_over(newer) == 1

    with pytest.raises(LeaseLost):
        await services.leases.heartbeat(first, leases[0].task_id, leases[0].fence)
    await services.leases.heartbeat(second, leases[1].task_id, leases[1].fence)
    with pytest.raises(LeaseLost):
        await services.leases.complete(
            newer, leases[1].task_id, Completion(fence=leases[1].fence, result="not mine")
        )
    assert (await claim_one(services, newer)).task_id == leases[0].task_id


async def test_an_agent_is_as_live_as_the_best_of_its_replicas(services: Services) -> None:
    for ordinal, state in enumerate(("Failed", "Idle", "Busy")):
        identity = AgentIdentity(TENANT, "orbit/finance-1", f"uid-{ordinal}", f"agent-finance-1-{ordinal}")
        await services.leases.take_over(identity)
        status = GuardStatus(instance=identity.instance, state=state, bundle_generation=1)
        await services.bundles.status(identity, status)

    row = next(row for row in await services.directory.agents(TENANT) if row.key == "orbit/finance-1")

    assert row.live is not None
    assert (row.live.state, row.live.instance) == ("Idle", "uid-1")
