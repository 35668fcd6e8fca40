"""A person's word on a finding: who may say it, where it holds, how long, and that nobody reads it in the
store."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from cadre_api.protocol.rulings import RulingCreate
from cadre_controller.errors import CadreError, Denied, NotFound
from cadre_controller.ports import Actor
from cadre_controller.services import rulings as module
from cadre_controller.services.assembly import Services
from cadre_controller.services.kernel import system_actor
from tests.contract.conftest import TENANT, opened
from tests.support.postgres import eventually

pytestmark = pytest.mark.postgres
FIN, SAL, VALUE = "orbit/finance-1", "orbit/sales-1", "Konstantin Hohenfels"


def wanted(**more: object) -> RulingCreate:
    """A release of a name for finance's agent."""
    said = {
        "ruling": "Release",
        "scope": "Agent",
        "target": "finance-1",
        "entity_type": "PERSON",
        "value": VALUE,
        "reason": f"{VALUE} is our trade mark",
        "until": datetime.now(UTC) + timedelta(days=1),
    }
    return RulingCreate.model_validate(said | more)


def person(services: Services, name: str) -> Actor:
    """Somebody of the company."""
    return services.directory.person_actor(TENANT, name)


def released(services: Services, agent: str) -> list[str]:
    """What an agent's rules release."""
    return [term.text for term in services.chart.guard_rules(TENANT, agent).released]


async def actions(services: Services) -> list[tuple[str, str]]:
    """(action, result) of what the audit says about findings."""
    events = [json.loads(row.canonical) for row in await services.audit.list(TENANT)]
    found = [(event["action"], event["result"]) for event in events]
    return sorted(each for each in found if each[0].startswith("finding."))


async def test_a_release_holds_for_its_place_and_goes_with_the_bundle(services: Services) -> None:
    before = services.chart.bundle_version(TENANT, FIN)
    view = await services.rulings.rule(person(services, "head"), wanted())
    assert (view.value, view.by, view.agents) == (VALUE, "orbit/head", (FIN,))
    assert released(services, FIN) == [VALUE]
    assert released(services, SAL) == released(services, "") == []
    after = services.chart.bundle_version(TENANT, FIN)
    assert after[0] > before[0]
    assert after[1] != before[1]
    assert (await services.rulings.revoke(person(services, "head"), view.id)).id == view.id
    assert released(services, FIN) == []
    assert services.chart.bundle_version(TENANT, FIN)[0] > after[0]
    with pytest.raises(NotFound):
        await services.rulings.revoke(person(services, "head"), view.id)


async def test_the_masker_stores_what_is_released_and_masks_what_is_added(services: Services) -> None:
    admin = services.directory.admin_actor(TENANT)
    await services.rulings.rule(admin, wanted(scope="Tenant", target=""))
    await services.rulings.rule(
        admin,
        wanted(ruling="Add", scope="Node", target="finance", value="quiet harbour", entity_type="PROJECT"),
    )
    text = f"{VALUE} saw the quiet harbour."
    masked = await services.masker.mask(TENANT, "ses_a", text, services.chart.guard_rules(TENANT, FIN))
    assert VALUE in masked.text
    assert "quiet harbour" not in masked.text
    elsewhere = await services.masker.mask(TENANT, "ses_a", text, services.chart.guard_rules(TENANT, SAL))
    assert elsewhere.text == text


async def test_a_release_takes_who_stands_above_the_place(services: Services) -> None:
    node, tenant = {"scope": "Node", "target": "finance"}, {"scope": "Tenant", "target": ""}
    for who, more in (("clerk", {}), ("seller", {}), ("head", node), ("boss", tenant)):
        with pytest.raises(Denied) as refusal:
            await services.rulings.rule(person(services, who), wanted(**more))
        assert refusal.value.reason == "NotEntitled"
        assert "tenant admin" in str(refusal.value)
    assert await actions(services) == 4 * [("finding.release", "refused")]
    add = {"ruling": "Add"}
    for who, more in (("head", node | add), ("boss", node), ("boss", tenant | add)):
        view = await services.rulings.rule(person(services, who), wanted(**more))
        assert view.id in [v.id for v in services.rulings.views(person(services, who))]
    with pytest.raises(Denied):
        await services.rulings.revoke(person(services, "head"), view.id)
    with pytest.raises(Denied):
        await services.rulings.rule(system_actor(TENANT, "somebody"), wanted())


async def test_what_is_never_released_is_refused_with_its_reason(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = services.directory.admin_actor(TENANT)
    cases: tuple[tuple[dict[str, object], str], ...] = (
        ({"entity_type": "API_KEY"}, "NeverReleased"),
        ({"entity_type": "DENY_LIST"}, "NeverReleased"),
        ({"until": datetime(2001, 1, 1, tzinfo=UTC)}, "BadUntil"),
        ({"until": datetime.now(UTC) + timedelta(days=400)}, "BadUntil"),
        ({"value": "--"}, "BadValue"),
        ({"target": "nobody"}, "UnknownAgent"),
        ({}, "TooManyRulings"),
    )
    for more, reason in cases:
        monkeypatch.setattr(module, "MOST", 0 if reason == "TooManyRulings" else 2000)
        with pytest.raises(CadreError) as refusal:
            await services.rulings.rule(admin, wanted(**more))
        assert refusal.value.reason == reason
    assert released(services, FIN) == []


async def test_a_value_is_unreadable_in_the_store_and_shown_within_clearance(
    services: Services, dsn: str
) -> None:
    await services.rulings.rule(person(services, "head"), wanted())
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for table in tables:
            for row in await connection.fetch(f'SELECT t::text AS line FROM "{table["tablename"]}" t'):
                assert "Hohenfels" not in row["line"]
        sealed = await connection.fetchval("SELECT sealed FROM finding_rulings")
        assert b"Hohenfels" not in sealed
    finally:
        await connection.close()
    blind = person(services, "head")
    blind = Actor(TENANT, blind.type, blind.id, person=blind.person)
    (view,) = services.rulings.views(blind)
    assert (view.value, view.reason) == ("", "")
    assert services.rulings.views(person(services, "clerk")) == ()


async def test_time_ends_it_everywhere_and_the_audit_tells_the_story(
    services: Services, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = services.directory.admin_actor(TENANT)
    async with opened(dsn, tmp_path) as other:
        short = await services.rulings.rule(admin, wanted())
        kept = await services.rulings.rule(admin, wanted(value="Somebody Else", until=short.until))

        async def told() -> bool:
            return released(other, FIN) == [VALUE, "Somebody Else"]

        await eventually(told)
        await services.rulings.revoke(admin, kept.id)
        later = short.until + timedelta(seconds=1)
        monkeypatch.setattr(type(services.kernel.clock), "now", lambda _self: later)
        assert released(services, FIN) == released(other, FIN) == []
        assert sum([await each.rulings.sweep((TENANT,)) for each in (services, other)]) == 1
        assert services.rulings.views(admin) == ()
    assert [action for action, result in await actions(services) if result == "ok"] == [
        "finding.expire",
        "finding.release",
        "finding.release",
        "finding.revoke",
    ]
