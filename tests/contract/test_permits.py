"""Bounded "always allow", reminders in inboxes, signed webhooks."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from cadre_api.protocol.messages import MessageType
from cadre_api.protocol.tasks import AlwaysAllow, ApprovalState, DecisionCreate, TaskCreate
from cadre_controller.errors import InvalidInput, NotFound
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.assembly import Services
from cadre_controller.services.models import HeldTask, ToolApprovalRequest
from cadre_core.model import ApprovalRule
from tests.contract.company import documents
from tests.contract.conftest import TENANT, opened

RULE = ApprovalRule("ReportingLine", "Head", "", 1, True, 3600, "Escalate", "", 2, 600)


@pytest.fixture
async def stand(dsn: str, tmp_path: Path) -> AsyncIterator[tuple[Services, HeldTask]]:
    """A task of clerk's that finance-1 works on."""
    async with opened(dsn, tmp_path) as services:
        identity = AgentIdentity(TENANT, "orbit/finance-1", "i")
        await services.leases.take_over(identity)
        body = TaskCreate(prompt="post", agent="finance-1")
        await services.tasks.create(person(services, "clerk"), body)
        lease = (await services.leases.claim(identity, 1, 0)).leases[0]
        yield services, await services.leases.held(identity, lease.task_id, lease.fence)


def person(services: Services, name: str) -> Actor:
    return services.directory.person_actor(TENANT, name)


def call(number: int, rule: ApprovalRule = RULE) -> ToolApprovalRequest:
    arguments: dict[str, object] = {"amount": number}
    return ToolApprovalRequest("orbit/ledger/post_entry", arguments, f"sha256:{number}", (("p#r", rule),))


def always(uses: int, seconds: int = 600) -> DecisionCreate:
    allow = AlwaysAllow(uses=uses, seconds=seconds)
    return DecisionCreate(decision=ApprovalState.APPROVED, always=allow)


async def test_a_permit_covers_so_many_calls_and_no_more(stand: tuple[Services, HeldTask]) -> None:
    services, held = stand
    head, approvals = person(services, "head"), services.approvals
    first = await approvals.request_tool(held, call(1))
    for more in (always(3), always(2, 601)):
        with pytest.raises(InvalidInput, match="AlwaysAllowRefused"):
            await approvals.decide(head, first.id, more)
    refusal = DecisionCreate(decision=ApprovalState.DENIED, always=AlwaysAllow(uses=1, seconds=1))
    with pytest.raises(InvalidInput, match="AlwaysAllowRefused"):
        await approvals.decide(head, first.id, refusal)
    await approvals.decide(head, first.id, always(2))
    states = [(await approvals.request_tool(held, call(n))).state for n in (2, 3, 4)]
    assert states == [ApprovalState.APPROVED, ApprovalState.APPROVED, ApprovalState.PENDING]
    other = ToolApprovalRequest("orbit/ledger/post_entry", {}, "sha256:x", (("p#other", RULE),))
    assert (await approvals.request_tool(held, other)).state is ApprovalState.PENDING


async def test_nobody_lets_through_alone_what_takes_two(stand: tuple[Services, HeldTask]) -> None:
    services, held = stand
    two = replace(RULE, quorum=2)
    asked = await services.approvals.request_tool(held, call(1, two))
    one, boss = person(services, "head"), person(services, "boss")
    with pytest.raises(InvalidInput, match="AlwaysAllowRefused"):
        await services.approvals.decide(one, asked.id, always(2))
    await services.approvals.decide(one, asked.id, DecisionCreate(decision=ApprovalState.APPROVED))
    with pytest.raises(InvalidInput, match="AlwaysAllowRefused"):
        await services.approvals.decide(boss, asked.id, always(2))
    assert await services.approvals.permits.list(TENANT) == ()


async def test_a_permit_ends_with_the_power_of_its_giver_and_with_the_rule(
    stand: tuple[Services, HeldTask],
) -> None:
    services, held = stand
    first = await services.approvals.request_tool(held, call(1))
    await services.approvals.decide(person(services, "head"), first.id, always(2))
    strict = replace(RULE, always_uses=0, always_seconds=0)
    assert (await services.approvals.request_tool(held, call(2, strict))).state is ApprovalState.PENDING
    files = [
        (name, text.replace("{personRef: {name: head}, roles: [Head, ", "{personRef: {name: head}, roles: ["))
        for name, text in documents()
    ]
    await services.chart.apply(files, services.directory.admin_actor(TENANT))
    assert (await services.approvals.request_tool(held, call(3))).state is ApprovalState.PENDING


async def test_a_permit_can_be_revoked(stand: tuple[Services, HeldTask]) -> None:
    services, held = stand
    head = person(services, "head")
    first = await services.approvals.request_tool(held, call(1))
    await services.approvals.decide(head, first.id, always(2))
    permit = (await services.approvals.permits.list(TENANT))[0]
    assert (permit.person, permit.uses_left, permit.session_id) == (head.id, 2, held.session_id)
    await services.approvals.permits.revoke(head, permit.id)
    assert (await services.approvals.request_tool(held, call(2))).state is ApprovalState.PENDING
    with pytest.raises(NotFound):
        await services.approvals.permits.revoke(head, permit.id)


async def test_approvers_are_told_at_once_and_again_and_outside(
    stand: tuple[Services, HeldTask],
) -> None:
    services, held = stand
    services.reminders.webhook = True
    asked = await services.approvals.request_tool(held, call(1))
    assert await services.reminders.sweep((TENANT,)) == 1
    assert await services.reminders.sweep((TENANT,)) == 0
    async with services.kernel.db.connection((TENANT,)) as connection:
        await connection.execute("UPDATE approvals SET remind_at = requested_at")
    assert await services.reminders.sweep((TENANT,)) == 1
    inbox = await services.messages.inbox(TENANT, person(services, "head").id)
    assert [m.type for m in inbox.items] == [MessageType.APPROVAL] * 2
    assert asked.id in inbox.items[0].body
    seen: list[tuple[bytes, Mapping[str, str]]] = []

    async def post(body: bytes, headers: Mapping[str, str]) -> str:
        seen.append((body, headers))
        return "status 500" if len(seen) == 1 else ""

    assert await services.webhooks.sweep((TENANT,), post, b"key") == 1
    async with services.kernel.db.connection((TENANT,)) as connection:
        await connection.execute("UPDATE notifications SET due_at = created_at")
    assert await services.webhooks.sweep((TENANT,), post, b"key") == 1
    body, headers = seen[0]
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(b"key", content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert asked.id.encode() in body
    async with services.kernel.db.connection((TENANT,)) as connection:
        kept = await connection.fetch("SELECT body FROM notifications WHERE sent_at IS NOT NULL")
    assert [row["body"] for row in kept] == [{}, {}]
    assert headers["webhook-id"] in {h["webhook-id"] for _, h in seen[1:]}
