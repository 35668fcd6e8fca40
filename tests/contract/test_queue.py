"""The queue against real Postgres: order, places, poison, dead letters, fan-out, schedules, history."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from cadre_api.protocol.guard import Completion, Lease
from cadre_api.protocol.tasks import ApprovalState, DecisionCreate, TaskCreate, TaskState, TaskView
from cadre_controller.errors import Conflict, InvalidInput
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.assembly import Services
from tests.contract.company import documents
from tests.contract.conftest import TENANT, opened

EXTRA = """---
apiVersion: cadre.dev/v1alpha1
kind: Agent
metadata: {name: finance-2, namespace: orbit}
spec:
  nodeRef: {name: finance}
  ownerRef: {name: clerk}
  purpose: More books.
  scaling: {min: 1, max: 1, concurrency: 2}
"""
HOLD = """---
apiVersion: cadre.dev/v1alpha1
kind: Policy
metadata: {name: urgent, namespace: orbit}
spec:
  targets: [{nodeRef: {name: orbit}, scope: Subtree}]
  rules:
    - name: urgent-needs-the-head
      effect: RequireApproval
      actions: [RouteTask]
      when: 'task.priority > 50'
      approval: {by: ReportingLine, role: Head, quorum: 1, separationOfDuties: true, timeout: 1h}
"""


@pytest.fixture
async def wide(dsn: str, tmp_path: Path) -> AsyncIterator[Services]:
    """The company with a second agent in finance, one task at a time there, and a rule on urgent tasks."""
    async with opened(dsn, tmp_path) as services:
        files = [
            (
                name,
                text.replace(
                    "title: Finance\n  parentRef", "title: Finance\n  agents: {running: 1}\n  parentRef"
                ),
            )
            for name, text in documents(extra=EXTRA + HOLD)
        ]
        await services.chart.apply(files, services.directory.admin_actor(TENANT))
        yield services


def person(services: Services, name: str) -> Actor:
    return services.directory.person_actor(TENANT, name)


async def guard(services: Services, agent: str) -> AgentIdentity:
    identity = AgentIdentity(TENANT, f"orbit/{agent}", f"instance-{agent}")
    await services.leases.take_over(identity)
    return identity


async def make(services: Services, **fields: object) -> TaskView:
    body = TaskCreate.model_validate({"prompt": "count", "agent": "finance-1", **fields})
    return (await services.tasks.create(person(services, "clerk"), body)).view


async def claim(services: Services, identity: AgentIdentity, capacity: int = 1) -> list[Lease]:
    return list((await services.leases.claim(identity, capacity, 0)).leases)


async def test_priority_is_worth_waiting_time_and_no_more(services: Services, finance: AgentIdentity) -> None:
    low = await make(services, priority=-1)
    high = await make(services, priority=1)
    async with services.kernel.db.connection((TENANT,)) as connection:
        await connection.execute("UPDATE tasks SET rank = rank - interval '73 seconds' WHERE id = $1", low.id)
    assert [lease.task_id for lease in await claim(services, finance, 2)] == [low.id, high.id]


async def test_a_node_limits_what_its_agents_do_at_once(wide: Services) -> None:
    one, two = await guard(wide, "finance-1"), await guard(wide, "finance-2")
    for agent in ("finance-1", "finance-1", "finance-2"):
        await make(wide, agent=agent)
    first = await claim(wide, one, 2)
    assert len(first) == 1
    assert await claim(wide, two) == []
    await wide.leases.complete(one, first[0].task_id, Completion(fence=first[0].fence, result="done"))
    assert len(await claim(wide, two)) == 1


async def test_what_takes_agents_down_becomes_a_dead_letter(
    services: Services, finance: AgentIdentity
) -> None:
    task, head = await make(services, max_attempts=20), person(services, "head")
    for _ in range(3):
        row = await services.kernel.db.fetch_one(TENANT, "task_get", TENANT, task.id)
        assert row is not None
        async with services.kernel.db.connection((TENANT,)) as connection:
            await connection.execute("UPDATE tasks SET available_at = created_at WHERE id = $1", task.id)
        lease = (await claim(services, finance))[0]
        body = Completion(fence=lease.fence, reason="AgentCrashed", retryable=True)
        await services.leases.fail(finance, task.id, body)
    dead = await services.dead_letters.list(TENANT, reason="Poison")
    assert [(t.id, t.state, t.attempt) for t in dead.items] == [(task.id, TaskState.DEAD, 3)]
    again = await services.dead_letters.redrive(head, task.id)
    assert (again.state, again.attempt) == (TaskState.QUEUED, 0)
    with pytest.raises(Conflict, match="NotDead"):
        await services.dead_letters.drop(head, task.id)


async def test_a_dead_letter_can_be_dropped(services: Services, finance: AgentIdentity) -> None:
    task = await make(services, max_attempts=1)
    lease = (await claim(services, finance))[0]
    await services.leases.fail(finance, task.id, Completion(fence=lease.fence, reason="X", retryable=True))
    dropped = await services.dead_letters.drop(person(services, "head"), task.id)
    assert (dropped.state, dropped.reason) == (TaskState.CANCELLED, "Dropped")
    assert not (await services.dead_letters.list(TENANT)).items


async def test_of_a_fan_out_the_first_result_counts(wide: Services) -> None:
    one = await guard(wide, "finance-1")
    first = await make(wide, agent="", role="finance", fan_out={"mode": "First"})
    members = (await wide.tasks.list(TENANT, group=first.group_id)).items
    assert {task.agent for task in members} == {"orbit/finance-1", "orbit/finance-2"}
    lease = (await claim(wide, one))[0]
    await wide.leases.complete(one, lease.task_id, Completion(fence=lease.fence, result="done"))
    states = {t.agent: t.state for t in (await wide.tasks.list(TENANT, group=first.group_id)).items}
    assert states == {"orbit/finance-1": TaskState.SUCCEEDED, "orbit/finance-2": TaskState.CANCELLED}
    both = await make(wide, agent="", role="finance", fan_out={"mode": "AnyN", "count": 1})
    assert len((await wide.tasks.list(TENANT, group=both.group_id)).items) == 1


async def test_a_task_that_policy_holds_waits_for_the_head(wide: Services) -> None:
    one, head = await guard(wide, "finance-1"), person(wide, "head")
    held = await make(wide, priority=60)
    assert (held.state, bool(held.pending_approval)) == (TaskState.HELD, True)
    assert await claim(wide, one) == []
    approve = DecisionCreate(decision=ApprovalState.APPROVED)
    await wide.approvals.decide(head, held.pending_approval, approve)
    assert [lease.task_id for lease in await claim(wide, one)] == [held.id]
    refused = await make(wide, priority=60)
    deny = DecisionCreate(decision=ApprovalState.DENIED)
    await wide.approvals.decide(head, refused.pending_approval, deny)
    view = await wide.tasks.get(TENANT, refused.id)
    assert (view.state, view.reason) == (TaskState.FAILED, "ApprovalDenied")


async def test_not_before_its_time(services: Services, finance: AgentIdentity) -> None:
    later = services.kernel.clock.now() + timedelta(hours=1)
    task = await make(services, not_before=later)
    assert (task.not_before, await claim(services, finance)) == (later, [])
    with pytest.raises(InvalidInput, match="BadTime"):
        await make(services, not_before=later + timedelta(days=400))


async def test_a_schedule_makes_one_task_per_time(services: Services) -> None:
    clerk = person(services, "clerk")
    body = TaskCreate(prompt="Ask Konstantin Hohenfels to count.", agent="finance-1")
    made = await services.schedules.create(clerk, "daily", "0 9 * * *", "Europe/Berlin", body)
    with pytest.raises(Conflict, match="NameTaken"):
        await services.schedules.create(clerk, "daily", "0 9 * * *", "Europe/Berlin", body)
    with pytest.raises(InvalidInput, match="hour"):
        await services.schedules.create(clerk, "never", "0 25 * * *", "Europe/Berlin", body)
    async with services.kernel.db.connection((TENANT,)) as connection:
        await connection.execute("UPDATE schedules SET next_at = created_at")
    assert await services.schedules.run_due((TENANT,)) == 1
    assert await services.schedules.run_due((TENANT,)) == 0
    ran = await services.schedules.get(TENANT, made.id)
    task = await services.tasks.get(TENANT, ran.last_task)
    assert (task.schedule_id, task.requester) == (made.id, clerk.id)
    assert "Hohenfels" not in task.prompt
    paused = await services.schedules.set_active(clerk, made.id, False)
    assert paused.state == "Paused"
    await services.schedules.delete(clerk, made.id)
    assert not (await services.schedules.list(TENANT)).items


async def test_ended_tasks_move_to_history_and_are_found_there(
    services: Services, finance: AgentIdentity
) -> None:
    task, open_task = await make(services), await make(services)
    lease = (await claim(services, finance))[0]
    await services.leases.complete(finance, task.id, Completion(fence=lease.fence, result="42"))
    assert await services.history.move((TENANT,), hot=timedelta(seconds=-60)) == 1
    found = await services.tasks.get(TENANT, task.id)
    assert (found.state, found.result) == (TaskState.SUCCEEDED, "42")
    assert [t.id for t in (await services.tasks.list(TENANT)).items] == [open_task.id, task.id]
    assert await services.history.forget((TENANT,), kept=timedelta(days=-62)) >= 1
    assert [t.id for t in (await services.tasks.list(TENANT)).items] == [open_task.id]
