"""Runs go on at once: no sweep runs in these tests, unless one is called."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from cadre_api.protocol.guard import Completion
from cadre_api.protocol.tasks import ApprovalState, DecisionCreate
from cadre_api.protocol.workflows import ExecutionState, ExecutionView
from cadre_controller.errors import Unavailable
from cadre_controller.ports import AgentIdentity
from cadre_controller.services.assembly import Services
from tests.contract.company import documents
from tests.contract.conftest import TENANT, opened

FLOWS = """---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: inner, namespace: orbit}
spec:
  steps:
    - {name: ask, task: {agentRef: {name: finance-1}, prompt: 'Count'}}
    - {name: agree, dependsOn: [ask], approval: {nodeRef: {name: finance}, timeout: 24h}}
---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: outer, namespace: orbit}
spec:
  steps:
    - {name: rest, wait: 1s}
    - {name: part, dependsOn: [rest], workflow: {workflowRef: {name: inner}}}
    - {name: last, dependsOn: [part], data: steps.part.state}
"""
T = TypeVar("T")
FINANCE = AgentIdentity(TENANT, "orbit/finance-1", "i-1")


@pytest.fixture
async def services(dsn: str, tmp_path: Path) -> AsyncIterator[Services]:
    """The company with a run within a run."""
    async with opened(dsn, tmp_path) as services:
        await services.chart.apply(documents(extra=FLOWS), services.directory.admin_actor(TENANT))
        await services.leases.take_over(FINANCE)
        yield services


async def found(look: Callable[[], Awaitable[T | None]]) -> T:
    """What a look finds within a minute."""
    async with asyncio.timeout(60):
        while (seen := await look()) is None:
            await asyncio.sleep(0.02)
        return seen


async def begin(services: Services, workflow: str) -> str:
    clerk = services.directory.person_actor(TENANT, "clerk")
    return (await services.workflows.start(clerk, workflow, {})).id


async def ended(services: Services, run: str) -> ExecutionView:
    async def look() -> ExecutionView | None:
        view = await services.workflows.get(TENANT, run)
        return view if view.ended_at is not None else None

    return await found(look)


async def work(services: Services) -> None:
    (lease,) = (await services.leases.claim(FINANCE, 1, 60)).leases
    await services.leases.complete(FINANCE, lease.task_id, Completion(fence=lease.fence, result="3"))


async def agree(services: Services) -> None:
    async def look() -> str | None:
        items = (await services.approvals.list(TENANT)).items
        return items[0].id if items else None

    head = services.directory.person_actor(TENANT, "head")
    decision = DecisionCreate(decision=ApprovalState.APPROVED)
    await services.approvals.decide(head, await found(look), decision)


async def test_a_run_goes_on_with_its_timer_task_approval_and_inner_run(services: Services) -> None:
    run = await begin(services, "outer")
    await work(services)
    await agree(services)
    done = await ended(services, run)
    assert (done.state, done.result) == (ExecutionState.SUCCEEDED, {"last": "Succeeded"})


async def test_what_another_controller_commits_is_heard(services: Services, dsn: str, tmp_path: Path) -> None:
    run = await begin(services, "inner")
    async with opened(dsn, tmp_path) as other:
        await work(other)
        await agree(other)
        assert (await ended(services, run)).state is ExecutionState.SUCCEEDED


async def test_a_look_that_finds_nothing_changes_nothing(services: Services) -> None:
    run = await begin(services, "inner")

    async def version() -> int:
        row = await services.kernel.db.fetch_one(TENANT, "execution_get", TENANT, run)
        assert row is not None
        return int(row["version"])

    before = await version()
    await services.workflows.go_on(TENANT, run)
    assert await version() == before
    await services.workflows.cancel(services.directory.person_actor(TENANT, "clerk"), run)
    assert (await ended(services, run)).state is ExecutionState.CANCELLED


async def test_a_lost_database_does_not_end_the_following(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await begin(services, "inner")
    task = (await services.workflows.get(TENANT, run)).steps[0].ref
    fetch, failed = services.kernel.db.fetch, asyncio.Event()

    async def lost(tenants: str, name: str, *arguments: object) -> object:
        if name == "execution_ready" and not failed.is_set():
            failed.set()
            raise Unavailable("gone")
        return await fetch(tenants, name, *arguments)

    monkeypatch.setattr(services.kernel.db, "fetch", lost)
    services.kernel.wakeups.wake((f"task:{TENANT}:{task}",))
    async with asyncio.timeout(60):
        await failed.wait()
    await work(services)
    await agree(services)
    assert (await ended(services, run)).state is ExecutionState.SUCCEEDED
