"""Runs that need nothing from outside on real Postgres: begun, recorded and ended in one commit."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cadre_api.protocol.workflows import ExecutionState, ExecutionView
from cadre_controller.services.assembly import Services
from tests.contract.company import documents
from tests.contract.conftest import TENANT, opened

FLOWS = """---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: sums, namespace: orbit}
spec:
  parameters: [{name: lines, type: Number, required: true}]
  steps:
    - {name: twice, data: params.lines * 2.0}
    - {name: word, when: 'params.lines > 100.0', data: '"many"'}
    - {name: report, dependsOn: [twice], data: '{"lines": steps.twice.result, "by": ["a", 1, true]}'}
---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: broken, namespace: orbit}
spec:
  steps:
    - {name: part, data: '[1, 2][7]'}
    - {name: never, dependsOn: [part], task: {role: finance, prompt: 'Go on'}}
---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: around, namespace: orbit}
spec:
  steps:
    - {name: inner, workflow: {workflowRef: {name: sums}, with: {lines: '4.0'}}}
    - {name: after, dependsOn: [inner], data: steps.inner.result.report.lines}
"""


@pytest.fixture
async def flows(dsn: str, tmp_path: Path) -> AsyncIterator[Services]:
    """The company with three workflows that give nobody work."""
    async with opened(dsn, tmp_path) as services:
        await services.chart.apply(documents(extra=FLOWS), services.directory.admin_actor(TENANT))
        yield services


async def begin(services: Services, name: str, **given: object) -> ExecutionView:
    clerk = services.directory.person_actor(TENANT, "clerk")
    return await services.workflows.start(clerk, name, given, idempotency_key=f"once {name}")


async def flushes(services: Services) -> int:
    async with services.kernel.db.connection((TENANT,)) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM flushes"))


async def test_it_is_told_as_it_is_stored_after_one_commit(flows: Services) -> None:
    before = await flushes(flows)
    told = await begin(flows, "sums", lines=3.5)
    assert await flushes(flows) == before + 1
    assert told.state is ExecutionState.SUCCEEDED and told.ended_at is not None
    assert {s.name: s.result for s in told.steps}["report"] == {"lines": 7, "by": ["a", 1, True]}
    assert {s.name: s.state for s in told.steps}["word"] == "Skipped"
    assert await flows.workflows.get(TENANT, told.id) == told
    assert await flows.workflows.sweep((TENANT,)) == 0


async def test_a_repeated_key_tells_of_the_first_run(flows: Services) -> None:
    told = await begin(flows, "sums", lines=2.5)
    assert await begin(flows, "sums", lines=2.5) == told


async def test_a_step_without_a_value_fails_the_run_before_anything_begins(flows: Services) -> None:
    told = await begin(flows, "broken")
    assert (told.state, told.reason) == (ExecutionState.FAILED, "ExpressionError")
    assert [step.name for step in told.steps] == ["part"]
    assert await flows.workflows.get(TENANT, told.id) == told
    again = await flows.workflows.retry(flows.directory.admin_actor(TENANT), told.id, "part")
    assert (again.state, again.round) == (ExecutionState.FAILED, 2)


async def test_both_its_beginning_and_its_end_are_in_the_audit(flows: Services) -> None:
    told = await begin(flows, "sums", lines=1.5)
    async with flows.kernel.db.connection((TENANT,)) as connection:
        rows = await connection.fetch(
            "SELECT action, result FROM audit_events WHERE target = $1 ORDER BY seq", f"execution:{told.id}"
        )
    assert [tuple(row) for row in rows] == [("workflow.start", "ok"), ("workflow.look", "Succeeded")]


async def test_within_another_run_it_goes_the_long_way(flows: Services) -> None:
    run = await begin(flows, "around")
    for _ in range(3):
        await flows.workflows.sweep((TENANT,))
    done = await flows.workflows.get(TENANT, run.id)
    assert (done.state, done.result) == (ExecutionState.SUCCEEDED, {"after": 8})
