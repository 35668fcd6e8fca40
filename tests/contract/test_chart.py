"""Charts: whole or not at all, the same after a restart, and bundles that only move forward."""

import asyncio
from pathlib import Path

import jwt
import pytest
from jwt import PyJWK

from cadre_api.protocol.guard import AgentBundle, BundleAck, GuardStatus
from cadre_controller.errors import ChartInvalid, NotFound
from cadre_controller.ports import AgentIdentity
from cadre_controller.services.assembly import Services
from tests.contract.company import documents
from tests.contract.conftest import TENANT, opened

pytestmark = pytest.mark.postgres


async def test_bad_chart_lists_every_problem_and_changes_nothing(services: Services) -> None:
    admin = services.directory.admin_actor(TENANT)
    before = services.chart.current(TENANT).snapshot.revision
    bad = """
---
apiVersion: cadre.dev/v1alpha1
kind: OrgNode
metadata: {name: lost, namespace: orbit}
spec: {type: Team, title: Lost, parentRef: {name: nowhere}}
---
apiVersion: cadre.dev/v1alpha1
kind: Agent
metadata: {name: stray, namespace: orbit}
spec: {nodeRef: {name: nowhere}, purpose: Strays.}
"""
    with pytest.raises(ChartInvalid) as refusal:
        await services.chart.apply(documents(extra=bad), admin)
    problems = refusal.value.problems
    assert len(problems) >= 2
    assert all(p.file == "chart.yaml" and p.line > 0 and p.reason and p.message for p in problems)
    assert services.chart.current(TENANT).snapshot.revision == before
    plan = await services.chart.plan(documents(extra=bad))
    assert len(plan.problems) == len(problems)


async def test_applying_again_changes_nothing(services: Services) -> None:
    admin = services.directory.admin_actor(TENANT)
    assert not (await services.chart.apply(documents(), admin)).changed
    dry = await services.chart.apply(documents(root_budget="11.00"), admin, dry_run=True)
    assert dry.changed
    assert services.chart.current(TENANT).snapshot.revision != dry.revision


async def test_restart_compiles_the_same_chart(services: Services, dsn: str, tmp_path: Path) -> None:
    before = services.chart.current(TENANT).snapshot
    async with opened(dsn, tmp_path) as again:
        after = again.chart.current(TENANT).snapshot
        assert after.revision == before.revision
        assert after.agents == before.agents
        assert after.persons == before.persons
        for agent in before.agents:
            assert again.chart.bundle_version(TENANT, agent) == services.chart.bundle_version(TENANT, agent)


async def test_another_process_sees_the_new_chart(services: Services, dsn: str, tmp_path: Path) -> None:
    async with opened(dsn, tmp_path) as other:
        result = await services.chart.apply(
            documents(root_budget="11.00"), services.directory.admin_actor(TENANT)
        )
        async with asyncio.timeout(60):
            while other.chart.current(TENANT).snapshot.revision != result.revision:
                await asyncio.sleep(0.01)
        for agent in other.chart.current(TENANT).snapshot.agents:
            assert other.chart.bundle_version(TENANT, agent) == services.chart.bundle_version(TENANT, agent)


async def test_bundles_are_signed_and_rise_only_when_they_change(
    services: Services, finance: AgentIdentity
) -> None:
    jws = await services.bundles.wait(finance, 0, 0)
    assert jws is not None
    key = PyJWK(services.bundles.public_jwk()).key
    bundle = AgentBundle.model_validate_json(jwt.api_jws.decode(jws, key, algorithms=["EdDSA"]))
    assert (bundle.agent, bundle.tenant, bundle.generation) == (finance.agent, TENANT, 1)
    assert {tool.name for tool in bundle.tools} >= {"ledger_post_entry", "mesh_send_task"}
    assert {term.text for term in bundle.guard.terms} >= {"Konstantin Hohenfels"}
    assert await services.bundles.wait(finance, 1, 0) is None
    admin = services.directory.admin_actor(TENANT)
    await services.chart.apply(documents(root_budget="11.00"), admin)
    assert services.chart.bundle_version(TENANT, finance.agent)[0] == 1
    waiting = asyncio.create_task(services.bundles.wait(finance, 1, 30))
    changed = [
        (name, text.replace("instructions: Help.", "instructions: Help well.")) for name, text in documents()
    ]
    await services.chart.apply(changed, admin)
    assert await waiting is not None
    assert services.chart.bundle_version(TENANT, finance.agent)[0] == 2


async def test_status_and_acks_show_in_the_directory(services: Services, finance: AgentIdentity) -> None:
    status = GuardStatus(instance="instance-a", state="Idle", boundary={"network": True}, bundle_generation=1)
    await services.bundles.status(finance, status)
    await services.bundles.ack(finance, BundleAck(generation=1, digest="sha256:x", applied=True))
    await services.bundles.ack(
        finance, BundleAck(generation=9, digest="sha256:y", applied=False, reason="Expired")
    )
    rows = {row.key: row for row in await services.directory.agents(TENANT)}
    live = rows[finance.agent].live
    assert live is not None
    assert (live.state, live.boundary, live.bundle_generation) == ("Idle", {"network": True}, 1)
    assert rows["orbit/sales-1"].live is None
    refused = await services.audit.list(TENANT, action="bundle.ack")
    assert b"Expired" in refused[-1].canonical


async def test_directory_answers_by_key_and_name(services: Services) -> None:
    node = services.directory.node(TENANT, "finance")
    assert node["path"] == ["orbit/orbit", "orbit/finance"]
    assert node["agents"] == ["orbit/finance-1"]
    assert services.directory.role_profile(TENANT, "finance")
    assert services.directory.agent_key(TENANT, "sales-1") == "orbit/sales-1"
    assert services.directory.tenant_of_agent("orbit/sales-1") == TENANT
    assert [d["metadata"]["name"] for d in services.directory.resources(TENANT, "agents")] == [  # type: ignore[index]
        "finance-1",
        "sales-1",
    ]
    for ask in (
        lambda: services.directory.node(TENANT, "moon"),
        lambda: services.directory.role_profile(TENANT, "moon"),
        lambda: services.directory.agent_key(TENANT, "moon"),
        lambda: services.directory.person_actor(TENANT, "moon"),
        lambda: services.directory.resources(TENANT, "moon"),
        lambda: services.chart.current("moon"),
    ):
        with pytest.raises(NotFound) as refusal:
            ask()
        assert refusal.value.fix
