"""Tokens, sessions and what the database holds in the end: sealed values and nothing else."""

import json
from pathlib import Path

import asyncpg
import pytest

from cadre_api.protocol.guard import Completion, IssueItem
from cadre_api.protocol.tasks import ApprovalState, DecisionCreate, TaskCreate
from cadre_controller.errors import Denied, InvalidInput, NotFound, RateLimited
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.assembly import Services
from cadre_controller.services.models import ToolApprovalRequest, ToolResult
from cadre_core.model import ApprovalRule
from cadre_detect import find_tokens, restore_text
from tests.contract.company import PROMPT, SEEDED
from tests.contract.conftest import TENANT, opened
from tests.support.encodings import appears

pytestmark = pytest.mark.postgres
ALL = frozenset({"INTERNAL", "PII", "FINANCIAL", "CREDENTIALS"})
ITEMS = (
    IssueItem(entity_type="PERSON", value="Konstantin Hohenfels"),
    IssueItem(entity_type="IBAN_CODE", value="DE89370400440532013000"),
)


async def test_same_value_same_token_in_every_session(services: Services, finance: AgentIdentity) -> None:
    actor = finance.actor
    first = await services.pseudonyms.issue(actor, "ses_a", [*ITEMS, ITEMS[0]])
    second = await services.pseudonyms.issue(actor, "ses_b", ITEMS)
    assert first[0] == first[2] == second[0]
    assert len(set(first)) == 2


async def test_only_granted_tokens_within_clearance_are_restored(
    services: Services, finance: AgentIdentity
) -> None:
    actor = finance.actor
    tokens = await services.pseudonyms.issue(actor, "ses_a", ITEMS)
    person, iban = tokens
    assert await services.pseudonyms.restore(actor, "ses_a", tokens, ALL) == {
        person: ITEMS[0].value,
        iban: ITEMS[1].value,
    }
    assert await services.pseudonyms.restore(actor, "ses_a", tokens, frozenset({"PII"})) == {
        person: ITEMS[0].value
    }
    assert await services.pseudonyms.restore(actor, "ses_other", tokens, ALL) == {}
    assert await services.pseudonyms.restore(actor, "ses_a", ["PERSONx1" + "0" * 16], ALL) == {}


async def test_regrant_passes_on_only_what_the_receiver_may_see(
    services: Services, finance: AgentIdentity
) -> None:
    actor = finance.actor
    tokens = await services.pseudonyms.issue(actor, "ses_a", ITEMS)
    passed = await services.pseudonyms.regrant(actor, "ses_a", "ses_b", tokens, frozenset({"PII"}))
    assert passed == (tokens[0],)
    assert set(await services.pseudonyms.restore(actor, "ses_b", tokens, ALL)) == {tokens[0]}
    assert await services.pseudonyms.regrant(actor, "ses_x", "ses_c", tokens, ALL) == ()


async def test_restoring_is_rate_limited(services: Services, finance: AgentIdentity) -> None:
    with pytest.raises(RateLimited) as refusal:
        for _ in range(40):
            await services.pseudonyms.restore(finance.actor, "ses_a", [f"T{n}" for n in range(2000)], ALL)
    assert refusal.value.retry_after > 0


async def test_values_survive_a_restart(
    services: Services, dsn: str, tmp_path: Path, finance: AgentIdentity
) -> None:
    tokens = await services.pseudonyms.issue(finance.actor, "ses_a", ITEMS)
    async with opened(dsn, tmp_path) as other:
        values = await other.pseudonyms.restore(finance.actor, "ses_a", tokens, ALL)
        assert values[tokens[0]] == ITEMS[0].value
        assert await other.pseudonyms.issue(finance.actor, "ses_a", ITEMS) == tokens


async def test_a_users_look_alike_of_a_token_is_never_restored(services: Services, clerk: Actor) -> None:
    tokens = await services.pseudonyms.issue(clerk, "ses_elsewhere", ITEMS)
    view = (
        await services.tasks.create(clerk, TaskCreate(prompt=f"Tell me {tokens[1]}.", agent="finance-1"))
    ).view
    assert tokens[1] not in view.prompt


async def test_child_tasks_get_only_cleared_tokens(
    services: Services, clerk: Actor, finance: AgentIdentity
) -> None:
    view = (await services.tasks.create(clerk, TaskCreate(prompt=PROMPT, agent="finance-1"))).view
    lease = (await services.leases.claim(finance, 1, 10)).leases[0]
    held = await services.leases.held(finance, view.id, lease.fence)
    body = TaskCreate(prompt=f"Answer: {lease.prompt}", agent="sales-1")
    child = (await services.tasks.create(finance.actor, body, parent=held.as_parent())).view
    assert child.session_id != view.session_id
    assert child.prompt == body.prompt, "a token of the caller is no forgery, whoever may see behind it"
    tokens = [m.text for m in find_tokens(child.prompt)]
    values = await services.pseudonyms.restore(
        clerk, child.session_id, tokens, frozenset({"INTERNAL", "PII"})
    )
    shown = restore_text(child.prompt, values)
    assert "Konstantin Hohenfels" in shown
    assert "DE89370400440532013000" not in shown
    assert "AKIAIOSFODNN7EXAMPLE" not in shown


async def test_handoff_proves_what_was_seen(services: Services, clerk: Actor) -> None:
    session = await services.sessions.create(clerk, ["agent:orbit/finance-1"])
    open_shard = await services.sessions.add_shard(clerk, session.id, "Ask Konstantin Hohenfels.", "INTERNAL")
    secret = await services.sessions.add_shard(clerk, session.id, "IBAN DE89370400440532013000", "FINANCIAL")
    assert "Hohenfels" not in open_shard.text
    passed = await services.sessions.handoff(clerk, session.id, "agent:orbit/sales-1")
    assert [shard.text for shard in passed.shards] == [open_shard.text]
    assert passed.parent_session_id == session.id
    rows = await services.audit.list(TENANT, action="session.handoff")
    proof = json.loads(rows[-1].canonical)["data"]
    assert [s["of"] for s in proof["shards"]] == [open_shard.id]
    assert proof["shards"][0]["hash"].startswith("sha256:")
    assert proof["withheld"] == [secret.id]
    with pytest.raises(InvalidInput, match="UnknownParticipant"):
        await services.sessions.handoff(clerk, session.id, "agent:orbit/nobody")
    with pytest.raises(Denied, match="NotAParticipant"):
        await services.sessions.handoff(
            services.directory.person_actor(TENANT, "seller"), session.id, "agent:orbit/sales-1"
        )
    with pytest.raises(NotFound, match="UnknownSession"):
        await services.sessions.get(TENANT, "ses_none")


async def dump(dsn: str) -> bytes:
    """Every row of every table as text."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        parts = []
        for table in tables:
            rows = await connection.fetch(f'SELECT t::text AS row FROM "{table["tablename"]}" t')
            parts += [row["row"] for row in rows]
            raw = await connection.fetch(f'SELECT * FROM "{table["tablename"]}"')
            parts += [bytes(v).decode("latin-1") for r in raw for v in r.values() if isinstance(v, bytes)]
    finally:
        await connection.close()
    assert len(parts) > 50
    return "\n".join(parts).encode()


async def test_no_seeded_value_is_in_any_table(
    services: Services, dsn: str, clerk: Actor, finance: AgentIdentity
) -> None:
    head = services.directory.person_actor(TENANT, "head")
    body = TaskCreate(prompt=PROMPT, agent="finance-1", context={"from": PROMPT})
    view = (await services.tasks.create(clerk, body, idempotency_key="canary")).view
    lease = (await services.leases.claim(finance, 1, 10)).leases[0]
    held = await services.leases.held(finance, view.id, lease.fence)
    rules = services.chart.guard_rules(TENANT, finance.agent)
    masked = await services.masker.mask_json(TENANT, view.session_id, {"memo": PROMPT}, rules)
    assert isinstance(masked.value, dict)
    rule = ApprovalRule("ReportingLine", "Head", "", 1, True, 3600, "Escalate")
    request = ToolApprovalRequest("orbit/ledger/post_entry", masked.value, "sha256:1", (("orbit/p#r", rule),))
    approval = await services.approvals.request_tool(held, request)
    decision = DecisionCreate(decision=ApprovalState.APPROVED, comment=f"Yes. {PROMPT}")
    await services.approvals.decide(head, approval.id, decision)
    intent = await services.intents.begin(held, "orbit/ledger/post_entry", "sha256:1", "c")
    await services.intents.record(intent, ToolResult((masked.value,)))
    await services.sessions.add_shard(clerk, view.session_id, PROMPT)
    text = await services.masker.mask(TENANT, view.session_id, PROMPT, rules)
    await services.leases.complete(finance, view.id, Completion(fence=lease.fence, result=text.text))
    content = await dump(dsn)
    assert {value: found for value in SEEDED if (found := appears(value, content))} == {}
