"""Approvals: asked once, decided by the right people, once, and never by the one who asks."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from cadre_api.protocol.tasks import ApprovalState, ApprovalView, DecisionCreate, TaskCreate, TaskState
from cadre_controller.errors import Conflict, Denied, LeaseLost
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.assembly import Services
from cadre_controller.services.models import HeldTask, ToolApprovalRequest
from cadre_core.model import ApprovalRule
from tests.contract.company import documents
from tests.contract.conftest import TENANT

pytestmark = pytest.mark.postgres
HEAD = ApprovalRule("ReportingLine", "Head", "", 1, True, 3600, "Escalate")
YES = DecisionCreate(decision=ApprovalState.APPROVED)
NO = DecisionCreate(decision=ApprovalState.DENIED)


def person(services: Services, name: str) -> Actor:
    return services.directory.person_actor(TENANT, name)


def asking(hash_: str = "sha256:1", rules: Sequence[ApprovalRule] = (HEAD,)) -> ToolApprovalRequest:
    named = tuple((f"orbit/policy#rule-{n}", rule) for n, rule in enumerate(rules))
    return ToolApprovalRequest("orbit/ledger/post_entry", {"amount": 5}, hash_, named)


@pytest.fixture
async def held(services: Services, clerk: Actor, finance: AgentIdentity) -> HeldTask:
    view = (await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))).view
    lease = (await services.leases.claim(finance, 1, 10)).leases[0]
    return await services.leases.held(finance, view.id, lease.fence)


async def overdue(services: Services, view: ApprovalView) -> None:
    """Let the approval's deadline pass, as the sweep sees it."""
    async with services.kernel.db.connection((TENANT,)) as connection:
        await connection.execute(
            "UPDATE approvals SET expires_at = now() - interval '1 hour', requirements = (SELECT "
            "jsonb_agg(jsonb_set("
            "r, '{due}', to_jsonb((now() - interval '1 hour')::text))) FROM "
            "jsonb_array_elements(requirements) r) "
            "WHERE id = $1",
            view.id,
        )
    await services.approvals.sweep((TENANT,))


async def test_asked_once_and_the_task_waits(services: Services, held: HeldTask) -> None:
    views = await asyncio.gather(*(services.approvals.request_tool(held, asking()) for _ in range(10)))
    assert len({view.id for view in views}) == 1
    assert len((await services.approvals.list(TENANT)).items) == 1
    task = await services.tasks.get(TENANT, held.id)
    assert (task.state, task.pending_approval) == (TaskState.WAITING, views[0].id)
    assert views[0].approvers == ("orbit/head",)
    other = await services.approvals.request_tool(held, asking("sha256:2"))
    assert other.id != views[0].id


async def test_yes_lets_the_task_go_on_and_wakes_the_waiter(services: Services, held: HeldTask) -> None:
    view = await services.approvals.request_tool(held, asking())
    waiting = asyncio.create_task(services.approvals.wait(TENANT, view.id, 30))
    decided = await services.approvals.decide(person(services, "head"), view.id, YES)
    assert decided.state is ApprovalState.APPROVED
    assert [vote.person for vote in decided.votes] == ["orbit/head"]
    assert (await waiting).state is ApprovalState.APPROVED
    assert (await services.tasks.get(TENANT, held.id)).state is TaskState.RUNNING
    again = await services.approvals.request_tool(held, asking())
    assert again.state is ApprovalState.APPROVED


async def test_decided_once(services: Services, held: HeldTask) -> None:
    view = await services.approvals.request_tool(held, asking())
    head = person(services, "head")
    votes = await asyncio.gather(
        *(services.approvals.decide(head, view.id, vote) for vote in (YES, NO) * 5), return_exceptions=True
    )
    state = (await services.approvals.get(TENANT, view.id)).state
    refused = [v for v in votes if isinstance(v, BaseException)]
    assert {type(r) for r in refused} == {Conflict}
    assert {v.state for v in votes if isinstance(v, ApprovalView)} == {state}
    assert len((await services.approvals.get(TENANT, view.id)).votes) == 1
    with pytest.raises(Conflict, match="AlreadyDecided"):
        await services.approvals.decide(head, view.id, NO if state is ApprovalState.APPROVED else YES)


async def test_only_those_of_the_line_decide(services: Services, held: HeldTask) -> None:
    view = await services.approvals.request_tool(held, asking())
    for name in ("seller", "boss"):
        with pytest.raises(Denied, match="NotAnApprover"):
            await services.approvals.decide(person(services, name), view.id, YES)
    with pytest.raises(Denied, match="SeparationOfDuties"):
        await services.approvals.decide(person(services, "clerk"), view.id, YES)
    with pytest.raises(Denied, match="NotAnApprover"):
        await services.approvals.decide(services.directory.admin_actor(TENANT), view.id, YES)
    stale = DecisionCreate(decision=ApprovalState.APPROVED, arguments_hash="sha256:other")
    with pytest.raises(Conflict, match="ArgumentsChanged"):
        await services.approvals.decide(person(services, "head"), view.id, stale)


async def test_who_asks_never_decides(services: Services, finance: AgentIdentity) -> None:
    head = person(services, "head")
    view = (await services.tasks.create(head, TaskCreate(prompt="Go.", agent="finance-1"))).view
    lease = (await services.leases.claim(finance, 1, 10)).leases[0]
    held = await services.leases.held(finance, view.id, lease.fence)
    approval = await services.approvals.request_tool(held, asking())
    assert approval.approvers == ("orbit/boss",)
    with pytest.raises(Denied, match="SeparationOfDuties"):
        await services.approvals.decide(head, approval.id, YES)
    assert (await services.approvals.decide(person(services, "boss"), approval.id, YES)).state == "Approved"


async def test_a_rule_can_keep_somebody_from_deciding(services: Services, held: HeldTask) -> None:
    view = await services.approvals.request_tool(held, asking())
    policy = """
---
apiVersion: cadre.dev/v1alpha1
kind: Policy
metadata: {name: hands-off, namespace: orbit}
spec:
  targets: [{nodeRef: {name: finance}, scope: Node}]
  rules: [{name: not-here, effect: Deny, actions: [DecideApproval]}]
"""
    await services.chart.apply(documents(extra=policy), services.directory.admin_actor(TENANT))
    with pytest.raises(Denied, match="PolicyDenied"):
        await services.approvals.decide(person(services, "head"), view.id, YES)


async def test_quorum_needs_different_people(services: Services, held: HeldTask) -> None:
    view = await services.approvals.request_tool(held, asking(rules=[replace(HEAD, quorum=2)]))
    assert view.approvers == ("orbit/head", "orbit/boss")
    head = person(services, "head")
    for _ in range(2):
        assert (await services.approvals.decide(head, view.id, YES)).state is ApprovalState.PENDING
    assert (
        await services.approvals.decide(person(services, "boss"), view.id, YES)
    ).state is ApprovalState.APPROVED


async def test_every_rule_must_be_met(services: Services, held: HeldTask) -> None:
    both = [HEAD, replace(HEAD, quorum=2)]
    view = await services.approvals.request_tool(held, asking(rules=both))
    assert (
        await services.approvals.decide(person(services, "head"), view.id, YES)
    ).state is ApprovalState.PENDING
    assert (
        await services.approvals.decide(person(services, "boss"), view.id, YES)
    ).state is ApprovalState.APPROVED


async def test_one_no_is_final(services: Services, held: HeldTask) -> None:
    view = await services.approvals.request_tool(held, asking(rules=[replace(HEAD, quorum=2)]))
    denied = await services.approvals.decide(person(services, "boss"), view.id, NO)
    assert (denied.state, denied.reason) == (ApprovalState.DENIED, "DeniedByApprover")
    assert (await services.tasks.get(TENANT, held.id)).state is TaskState.RUNNING


async def test_nobody_to_ask_is_a_no(services: Services, held: HeldTask) -> None:
    view = await services.approvals.request_tool(held, asking(rules=[replace(HEAD, quorum=3)]))
    assert (view.state, view.reason) == (ApprovalState.DENIED, "NoApprover")


async def test_timeout_escalates_then_expires_at_the_top(services: Services, held: HeldTask) -> None:
    view = await services.approvals.request_tool(held, asking())
    await overdue(services, view)
    escalated = await services.approvals.get(TENANT, view.id)
    assert escalated.state is ApprovalState.PENDING
    assert escalated.approvers == ("orbit/head", "orbit/boss")
    assert escalated.expires_at > view.expires_at - timedelta(minutes=1)
    await overdue(services, view)
    expired = await services.approvals.get(TENANT, view.id)
    assert (expired.state, expired.reason) == (ApprovalState.EXPIRED, "ApprovalTimeout")
    assert (await services.tasks.get(TENANT, held.id)).state is TaskState.RUNNING
    with pytest.raises(Conflict, match="AlreadyDecided"):
        await services.approvals.decide(person(services, "boss"), view.id, YES)


TEAM = """
---
apiVersion: cadre.dev/v1alpha1
kind: OrgNode
metadata: {name: team, namespace: orbit}
spec:
  type: Team
  title: Team
  parentRef: {name: sales}
  members: [{personRef: {name: head}, roles: [Head]}]
"""


async def test_escalation_passes_over_who_agreed_to_another_rule(services: Services, held: HeldTask) -> None:
    await services.chart.apply(documents(extra=TEAM), services.directory.admin_actor(TENANT))
    rules = [replace(HEAD, node=node) for node in ("orbit/sales", "orbit/team")]
    view = await services.approvals.request_tool(held, asking(rules=rules))
    assert view.approvers == ("orbit/seller", "orbit/head")
    seller, boss = (person(services, name) for name in ("seller", "boss"))
    agreed = await services.approvals.decide(seller, view.id, YES)
    assert (agreed.state, agreed.approvers) == (ApprovalState.PENDING, ("orbit/head",))
    await overdue(services, view)
    assert (await services.approvals.get(TENANT, view.id)).approvers == ("orbit/head", "orbit/boss")
    assert (await services.approvals.decide(seller, view.id, YES)).state is ApprovalState.PENDING
    decided = await services.approvals.decide(boss, view.id, YES)
    assert decided.state is ApprovalState.APPROVED
    assert [vote.person for vote in decided.votes] == ["orbit/seller", "orbit/boss"]
    assert (await services.tasks.get(TENANT, held.id)).state is TaskState.RUNNING


async def test_with_nobody_else_above_it_expires(services: Services, held: HeldTask) -> None:
    rules = [replace(HEAD, node="orbit/orbit"), HEAD]
    view = await services.approvals.request_tool(held, asking(rules=rules))
    agreed = await services.approvals.decide(person(services, "boss"), view.id, YES)
    assert (agreed.state, agreed.approvers) == (ApprovalState.PENDING, ("orbit/head",))
    await overdue(services, view)
    expired = await services.approvals.get(TENANT, view.id)
    assert (expired.state, expired.reason) == (ApprovalState.EXPIRED, "ApprovalTimeout")
    assert (await services.tasks.get(TENANT, held.id)).state is TaskState.RUNNING


async def test_approval_of_an_ended_task_expires(services: Services, held: HeldTask, clerk: Actor) -> None:
    view = await services.approvals.request_tool(held, asking())
    await services.tasks.cancel(clerk, held.id)
    await services.approvals.sweep((TENANT,))
    ended = await services.approvals.get(TENANT, view.id)
    assert (ended.state, ended.reason) == (ApprovalState.EXPIRED, "TaskEnded")
    with pytest.raises(LeaseLost):
        await services.approvals.request_tool(held, asking("sha256:2"))


async def test_comments_are_masked_and_committed_to(services: Services, held: HeldTask) -> None:
    view = await services.approvals.request_tool(held, asking())
    told = DecisionCreate(decision=ApprovalState.APPROVED, comment="Fine, tell Oswin Grossmark.")
    decided = await services.approvals.decide(person(services, "head"), view.id, told)
    assert "Grossmark" not in decided.votes[0].comment
    rows = await services.audit.list(TENANT, action="approval.decide")
    assert b'"commitments":{"comment":"sha256:' in rows[-1].canonical
    assert b"Grossmark" not in rows[-1].canonical


async def test_step_approvals(services: Services, clerk: Actor) -> None:
    session = await services.sessions.create(clerk, ["agent:orbit/finance-1"])
    asked = (clerk, session.id, "sign-off", "Head")
    view = await services.approvals.request_step(*asked, {"text": "Pay Oswin Grossmark?"})
    assert "Grossmark" not in str(view.arguments)
    assert view.approvers == ("orbit/head",)
    again = await services.approvals.request_step(*asked, {"text": "Pay Oswin Grossmark?"})
    assert again.id == view.id
    with pytest.raises(Denied, match="StepChanged"):
        await services.approvals.request_step(*asked, {"text": "Pay twice?"})
