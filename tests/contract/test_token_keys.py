"""Rotation of the token key: sessions keep theirs, new ones take the new, and every token still restores."""

from pathlib import Path

import pytest

from cadre_api.protocol.guard import IssueItem
from cadre_controller.errors import Conflict
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.assembly import Services
from cadre_controller.services.kernel import system_actor
from cadre_controller.services.token_keys import MARKS
from tests.contract.conftest import TENANT, opened

pytestmark = pytest.mark.postgres
PERSON = IssueItem(entity_type="PERSON", value="Konstantin Hohenfels")
SURNAME = IssueItem(entity_type="EMAIL_ADDRESS", value="konstantin.hohenfels@elsewhere.example")
CLEARED = frozenset({"PII"})


async def _session(services: Services, finance: AgentIdentity) -> str:
    return (await services.sessions.create(finance.actor, [])).id


async def test_a_session_keeps_its_version_and_old_tokens_restore(
    services: Services, finance: AgentIdentity, dsn: str, tmp_path: Path
) -> None:
    actor, admin = finance.actor, Actor(TENANT, finance.actor.type, "person:admin", "TenantAdmin")
    old = await _session(services, finance)
    (before,) = await services.pseudonyms.issue(actor, old, [PERSON])
    assert await services.pseudonyms.rotate(admin) == "2"
    new = await _session(services, finance)
    (after,) = await services.pseudonyms.issue(actor, new, [PERSON])
    assert (before[:8], after[:8]) == ("PERSONx1", "PERSONx2")
    assert before[8:] != after[8:]
    async with opened(dsn, tmp_path) as other:
        assert await other.pseudonyms.issue(actor, old, [PERSON]) == (before,)
        assert await other.pseudonyms.issue(actor, new, [PERSON]) == (after,)
        assert await other.pseudonyms.restore(actor, old, [before], CLEARED) == {before: PERSON.value}
    await services.pseudonyms.regrant(actor, old, new, [before], CLEARED)
    values = await services.pseudonyms.restore(actor, new, [before, after], CLEARED)
    assert values == {before: PERSON.value, after: PERSON.value}


async def test_linked_values_share_a_part_of_their_token(services: Services, finance: AgentIdentity) -> None:
    session = await _session(services, finance)
    name, mail = await services.pseudonyms.issue(finance.actor, session, [PERSON, SURNAME])
    assert name[len("PERSONx1") :][:6] == mail[len("EMAILx1") :][:6]


async def test_versions_run_out_one_day(services: Services) -> None:
    admin = system_actor(TENANT, "test")
    for mark in MARKS[1:]:
        assert await services.pseudonyms.rotate(admin) == mark
    with pytest.raises(Conflict) as refusal:
        await services.pseudonyms.rotate(admin)
    assert refusal.value.reason == "KeyVersionsUsedUp"
