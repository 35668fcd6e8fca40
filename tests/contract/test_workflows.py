"""Runs of workflows on real Postgres: what agents and people give flows on, and nothing is begun twice."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from cadre_api.protocol.guard import Completion
from cadre_api.protocol.tasks import ApprovalState, DecisionCreate, TaskState
from cadre_api.protocol.workflows import ExecutionState, ExecutionView, StepView
from cadre_controller.errors import Conflict, IdempotencyKeyReused, InvalidInput, NotFound, Unavailable
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.assembly import Services
from cadre_controller.store.work import Outcome, Work
from tests.contract.company import documents
from tests.contract.conftest import TENANT, opened

FLOWS = """---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: close, namespace: orbit}
spec:
  parameters: [{name: month, type: String, required: true}]
  steps:
    - {name: ap, task: {role: finance, prompt: 'Match {{ month }}'}}
    - {name: tb, task: {agentRef: {name: sales-1}, prompt: 'Balance of {{ month }}'}}
    - {name: sum, dependsOn: [ap, tb], data: '[steps.ap.result, steps.tb.result]'}
    - {name: sign-off, dependsOn: [sum], approval: {nodeRef: {name: finance}, timeout: 24h}}
    - name: publish
      dependsOn: [sign-off, sum]
      task: {agentRef: {name: finance-1}, prompt: 'Publish {{ s }}', with: {s: steps.sum.result}}
    - {name: tell, dependsOn: [publish], message: {personRef: {name: clerk}, text: 'Done: {{ r }}',
       with: {r: steps.publish.result}}}
    - {name: undo, compensates: ap, task: {agentRef: {name: finance-1}, prompt: 'Take back {{ month }}'}}
---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: survey, namespace: orbit}
spec:
  steps:
    - {name: ask, forEach: '["red", "blue"]', task: {agentRef: {name: finance-1}, prompt: 'Ask {{ c }}',
       with: {c: item}}}
    - {name: rest, wait: 1h}
    - {name: count, dependsOn: [ask, rest], data: steps.ask.result.size()}
---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: outer, namespace: orbit}
spec:
  steps:
    - {name: inner, workflow: {workflowRef: {name: close}, with: {month: '"May"'}}}
    - {name: after, dependsOn: [inner], data: steps.inner.result.tell.sent}
"""
NAME = "Konstantin Hohenfels"


@pytest.fixture
async def flows(dsn: str, tmp_path: Path) -> AsyncIterator[Services]:
    """The company with three workflows."""
    async with opened(dsn, tmp_path) as services:
        admin = services.directory.admin_actor(TENANT)
        await services.chart.apply(documents(extra=FLOWS), admin)
        yield services


def person(services: Services, name: str) -> Actor:
    return services.directory.person_actor(TENANT, name)


async def begin(services: Services, workflow: str = "close", **parameters: object) -> ExecutionView:
    given = parameters or ({"month": "May"} if workflow == "close" else {})
    return await services.workflows.start(person(services, "clerk"), workflow, given)


async def work(services: Services, agent: str, result: str = "", *, fail: bool = False) -> str:
    """An agent does its next task; returns what it was told."""
    identity = AgentIdentity(TENANT, f"orbit/{agent}", f"i-{agent}")
    await services.leases.take_over(identity)
    (lease,) = (await services.leases.claim(identity, 1, 0)).leases
    if fail:
        body = Completion(fence=lease.fence, reason="Unable", retryable=False)
        await services.leases.fail(identity, lease.task_id, body)
    else:
        body = Completion(fence=lease.fence, result=result or f"{agent} did it")
        await services.leases.complete(identity, lease.task_id, body)
    await services.workflows.sweep((TENANT,))
    return lease.prompt


async def decide(services: Services, run: str, decision: ApprovalState) -> None:
    view = await services.approvals.get(TENANT, (await steps(services, run))["sign-off"].ref)
    assert view.approvers == ("orbit/head",)
    await services.approvals.decide(person(services, "head"), view.id, DecisionCreate(decision=decision))
    await services.workflows.sweep((TENANT,))


async def steps(services: Services, run: str) -> dict[str, StepView]:
    view = await services.workflows.get(TENANT, run)
    return {step.name: step for step in view.steps if step.current}


async def test_a_run_to_its_end_with_parallel_steps_and_an_approval(flows: Services) -> None:
    run = await begin(flows, month=f"May of {NAME}")
    assert {s.name: s.state for s in run.steps} == {"ap": "Running", "tb": "Running"}
    assert NAME not in str(run)
    assert "May of" in await work(flows, "sales-1", f"{NAME} owes 5")
    assert await flows.workflows.sweep((TENANT,)) == 0
    await work(flows, "finance-1", "12 matched")
    asked = await flows.approvals.get(TENANT, (await steps(flows, run.id))["sign-off"].ref)
    assert asked.arguments["step"] == "sign-off" and "12 matched" in str(asked.arguments["results"])
    assert asked.arguments_hash.startswith("sha256:")
    await decide(flows, run.id, ApprovalState.APPROVED)
    told = await work(flows, "finance-1", "all done")
    assert "12 matched" in told and NAME not in told
    done = await flows.workflows.get(TENANT, run.id)
    assert (done.state, done.result) == (ExecutionState.SUCCEEDED, {"tell": {"sent": 1}})
    inbox = await flows.messages.inbox(TENANT, person(flows, "clerk").id)
    assert "all done" in inbox.items[0].body
    assert "undo" not in await steps(flows, run.id)


async def test_a_restart_in_the_middle_loses_and_repeats_nothing(dsn: str, tmp_path: Path) -> None:
    async with opened(dsn, tmp_path) as services:
        admin = services.directory.admin_actor(TENANT)
        await services.chart.apply(documents(extra=FLOWS), admin)
        run = await begin(services)
        await work(services, "finance-1")
    async with opened(dsn, tmp_path) as services:
        await work(services, "sales-1")
        async with services.kernel.db.connection((TENANT,)) as connection:
            await connection.execute("DELETE FROM execution_steps WHERE name IN ('sum', 'sign-off')")
            await connection.execute("UPDATE executions SET poked = true")
        await services.workflows.sweep((TENANT,))
        assert len((await services.approvals.list(TENANT)).items) == 1
        await decide(services, run.id, ApprovalState.APPROVED)
    async with opened(dsn, tmp_path) as services:
        async with services.kernel.db.connection((TENANT,)) as connection:
            await connection.execute("DELETE FROM execution_steps WHERE name = 'publish'")
            await connection.execute("UPDATE executions SET poked = true")
        await services.workflows.sweep((TENANT,))
        assert len((await services.tasks.list(TENANT)).items) == 3
        await work(services, "finance-1")
        assert (await services.workflows.get(TENANT, run.id)).state is ExecutionState.SUCCEEDED


async def test_controllers_that_look_at_the_same_time_begin_nothing_twice(dsn: str, tmp_path: Path) -> None:
    async with opened(dsn, tmp_path) as one, opened(dsn, tmp_path) as two:
        await one.chart.apply(documents(extra=FLOWS), one.directory.admin_actor(TENANT))
        await two.chart.refresh()
        runs = [await begin(one, "survey") for _ in range(3)]
        async with one.kernel.db.connection((TENANT,)) as connection:
            await connection.execute("DELETE FROM execution_steps")
            await connection.execute("UPDATE executions SET poked = true")
        await asyncio.gather(*(s.workflows.sweep((TENANT,)) for s in (one, two, one, two)))
        assert len((await one.tasks.list(TENANT)).items) == 6
        for run in runs:
            assert len((await two.workflows.get(TENANT, run.id)).steps) == 3


async def test_a_refusal_undoes_and_a_retry_goes_through(flows: Services) -> None:
    run = await begin(flows)
    await work(flows, "finance-1")
    await work(flows, "sales-1")
    clerk = person(flows, "clerk")
    with pytest.raises(Conflict, match="NotEnded"):
        await flows.workflows.retry(clerk, run.id, "sign-off")
    await decide(flows, run.id, ApprovalState.DENIED)
    assert (await flows.workflows.get(TENANT, run.id)).state is ExecutionState.STOPPING
    assert await work(flows, "finance-1") == "Take back May"
    failed = await flows.workflows.get(TENANT, run.id)
    assert (failed.state, failed.reason) == (ExecutionState.FAILED, "ApprovalDenied")
    with pytest.raises(NotFound, match="UnknownStep"):
        await flows.workflows.retry(clerk, run.id, "undo")
    again = await flows.workflows.retry(clerk, run.id, "sign-off")
    assert (again.state, again.round) == (ExecutionState.RUNNING, 2)
    running = {s.name for s in again.steps if s.current and s.state == "Running"}
    assert running == {"ap"}
    await work(flows, "finance-1", "matched anew")
    await decide(flows, run.id, ApprovalState.APPROVED)
    await work(flows, "finance-1")
    assert (await flows.workflows.get(TENANT, run.id)).state is ExecutionState.SUCCEEDED


async def test_cancel_ends_tasks_and_approvals(flows: Services) -> None:
    clerk = person(flows, "clerk")
    run = await begin(flows)
    cancelled = await flows.workflows.cancel(clerk, run.id)
    assert (cancelled.state, cancelled.reason) == (ExecutionState.CANCELLED, "CancelledByRequester")
    assert {t.state for t in (await flows.tasks.list(TENANT)).items} == {TaskState.CANCELLED}
    assert (await flows.workflows.cancel(clerk, run.id)).state is ExecutionState.CANCELLED
    second = await begin(flows)
    await work(flows, "finance-1")
    await work(flows, "sales-1")
    await flows.workflows.cancel(clerk, second.id)
    asked = await flows.approvals.get(TENANT, (await steps(flows, second.id))["sign-off"].ref)
    assert (asked.state, asked.reason) == (ApprovalState.EXPIRED, "Withdrawn")
    await work(flows, "finance-1")
    assert (await flows.workflows.get(TENANT, second.id)).state is ExecutionState.CANCELLED


async def test_what_a_lost_look_had_begun_is_stopped_with_the_run(
    flows: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(given: Work) -> Outcome:
        if any(statement.query == "execution_update" for statement in given.statements):
            raise Unavailable("the database is gone")
        return await submit(given)

    submit = flows.kernel.committer.submit
    with monkeypatch.context() as patch:
        patch.setattr(flows.kernel.committer, "submit", lost)
        run = await begin(flows)
    made = {task.id for task in (await flows.tasks.list(TENANT)).items}
    assert made and not run.steps
    cancelled = await flows.workflows.cancel(person(flows, "clerk"), run.id)
    assert cancelled.state is ExecutionState.CANCELLED
    assert {step.ref for step in cancelled.steps if step.kind == "task" and step.ref} == made
    assert {t.state for t in (await flows.tasks.list(TENANT)).items} == {TaskState.CANCELLED}


async def test_a_failed_task_fails_the_run_and_stops_the_others(flows: Services) -> None:
    run = await begin(flows)
    await work(flows, "finance-1", fail=True)
    failed = await flows.workflows.get(TENANT, run.id)
    assert (failed.state, failed.reason) == (ExecutionState.FAILED, "Unable")
    assert (await steps(flows, run.id))["tb"].state == "Cancelled"


async def test_each_of_a_list_and_a_wait(flows: Services) -> None:
    run = await begin(flows, "survey")
    assert [(s.name, s.item) for s in run.steps] == [("ask", 0), ("ask", 1), ("rest", -1)]
    assert {await work(flows, "finance-1"), await work(flows, "finance-1")} == {"Ask red", "Ask blue"}
    assert (await flows.workflows.get(TENANT, run.id)).state is ExecutionState.RUNNING
    async with flows.kernel.db.connection((TENANT,)) as connection:
        past = flows.kernel.clock.now() - timedelta(hours=2)
        await connection.execute("UPDATE execution_steps SET due_at = $1 WHERE name = 'rest'", past)
        await connection.execute("UPDATE executions SET due_at = $1", past)
    await flows.workflows.sweep((TENANT,))
    assert (await flows.workflows.get(TENANT, run.id)).result == {"count": 2}


async def test_a_run_within_a_run(flows: Services) -> None:
    run = await begin(flows, "outer")
    child = (await steps(flows, run.id))["inner"].ref
    assert (await flows.workflows.get(TENANT, child)).parent_id == run.id
    await flows.workflows.sweep((TENANT,))
    await work(flows, "finance-1")
    await work(flows, "sales-1")
    await decide(flows, child, ApprovalState.APPROVED)
    await work(flows, "finance-1")
    await flows.workflows.sweep((TENANT,))
    assert (await flows.workflows.get(TENANT, run.id)).result == {"after": 1}
    with pytest.raises(Conflict, match="NotEnded"):
        await flows.workflows.retry(person(flows, "clerk"), child, "ap")
    other = await begin(flows, "outer")
    await flows.workflows.sweep((TENANT,))
    await flows.workflows.cancel(person(flows, "clerk"), other.id)
    inner = (await steps(flows, other.id))["inner"]
    assert inner.state == "Cancelled"
    assert (await flows.workflows.get(TENANT, inner.ref)).state is ExecutionState.CANCELLED


async def test_bad_input_is_named_and_a_key_begins_one_run(flows: Services) -> None:
    clerk, service = person(flows, "clerk"), flows.workflows
    for given in ({}, {"month": 5}, {"month": "May", "year": "1"}):
        with pytest.raises(InvalidInput, match="BadParameters"):
            await service.start(clerk, "close", given)
    with pytest.raises(NotFound, match="UnknownWorkflow"):
        await service.start(clerk, "nope", {})
    with pytest.raises(NotFound, match="UnknownExecution"):
        await service.get(TENANT, "exe_x")
    one = await service.start(clerk, "orbit/close", {"month": "May"}, idempotency_key="k")
    two = await service.start(clerk, "close", {"month": "May"}, idempotency_key="k")
    assert one.id == two.id
    with pytest.raises(IdempotencyKeyReused):
        await service.start(clerk, "close", {"month": "June"}, idempotency_key="k")
    page = await service.list(TENANT, limit=1)
    assert [run.id for run in page.items] == [one.id] and page.next == ""
    assert [view.name for view in service.workflows(TENANT)] == ["orbit/close", "orbit/outer", "orbit/survey"]


async def test_who_is_gone_starts_nothing_more(flows: Services) -> None:
    run = await begin(flows, "survey")
    async with flows.kernel.db.connection((TENANT,)) as connection:
        await connection.execute("UPDATE executions SET person = 'orbit/nobody', poked = true")
        await connection.execute("DELETE FROM execution_steps")
    await flows.workflows.sweep((TENANT,))
    assert (await flows.workflows.get(TENANT, run.id)).reason == "UnknownPerson"


async def test_what_was_said_is_forgotten_in_time_and_what_happened_is_not(flows: Services) -> None:
    survey = await begin(flows, "survey")
    await work(flows, "finance-1", "12 matched")
    outer = await begin(flows, "outer")
    await flows.workflows.sweep((TENANT,))
    await flows.workflows.cancel(person(flows, "clerk"), outer.id)
    await flows.workflows.sweep((TENANT,))
    assert (await flows.workflows.get(TENANT, outer.id)).state is ExecutionState.CANCELLED
    ended = [t.id for t in (await flows.tasks.list(TENANT)).items if t.state is TaskState.SUCCEEDED]
    assert await flows.history.move((TENANT,), hot=timedelta(seconds=-60)) >= 1
    assert await flows.history.forget_said(TENANT) == (0, 0)
    assert (await flows.tasks.get(TENANT, ended[0])).result == "12 matched"
    tasks, runs = await flows.history.forget_said(TENANT, days=-1)
    assert (tasks >= 1, runs) == (True, 2)
    forgotten = await flows.tasks.get(TENANT, ended[0])
    assert (forgotten.state, forgotten.prompt, forgotten.result) == (TaskState.SUCCEEDED, "", "")
    assert await flows.tasks.events(TENANT, ended[0]) == ()
    assert [run.id for run in (await flows.workflows.list(TENANT)).items] == [survey.id]
    assert len((await flows.workflows.get(TENANT, survey.id)).steps) == 3
    await flows.history.sweep((TENANT,))
