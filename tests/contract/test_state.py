"""Agent state against real Postgres: versions, comparing, watching, history, quota, who may, masking."""

import asyncio
from datetime import timedelta

import pytest

from cadre_api.protocol.state import StateGet, StateList, StatePut, StateView, StateWatch
from cadre_api.protocol.tasks import TaskCreate
from cadre_controller.errors import CadreError, Conflict, Denied, InvalidInput, NotFound, VersionConflict
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services import state as rules
from cadre_controller.services.assembly import Services
from tests.contract.conftest import TENANT

pytestmark = pytest.mark.postgres
OWN, NODE, ABOVE = "agent:orbit/finance-1", "node:orbit/finance", "node:orbit/orbit"


def put(key: str, value: str | None, scope: str = OWN, **fields: object) -> StatePut:
    return StatePut.model_validate({"scope": scope, "key": key, "value": value, **fields})


async def written(services: Services, actor: Actor, *puts: StatePut) -> list[int]:
    return [(await services.state.put(actor, one)).version for one in puts]


async def shown(services: Services, actor: Actor, key: str, scope: str = OWN) -> str:
    return (await services.state.get(actor, StateGet(scope=scope, key=key))).value


async def test_versions_count_and_comparing_keeps_a_writer_from_losing_another(
    services: Services, finance: AgentIdentity
) -> None:
    me = finance.actor
    assert await written(services, me, put("a", "1", version=0), put("a", "2"), put("a", "3", version=2)) == [
        1,
        2,
        3,
    ]
    for stale in (put("a", "x", version=0), put("a", "x", version=2), put("b", "x", version=1)):
        with pytest.raises(VersionConflict):
            await services.state.put(me, stale)
    assert await shown(services, me, "a") == "3"


async def test_of_many_who_compare_one_wins(services: Services, finance: AgentIdentity) -> None:
    await written(services, finance.actor, put("a", "0"))
    tries = (services.state.put(finance.actor, put("a", str(n), version=1)) for n in range(20))
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, StateView) for one in found) == 1
    assert sum(isinstance(one, VersionConflict) for one in found) == 19


async def test_a_removed_key_is_gone_and_its_version_goes_on(
    services: Services, finance: AgentIdentity
) -> None:
    me = finance.actor
    assert await written(services, me, put("a", "1"), put("a", None, version=1)) == [1, 2]
    with pytest.raises(NotFound):
        await services.state.get(me, StateGet(scope=OWN, key="a"))
    with pytest.raises(NotFound):
        await services.state.put(me, put("a", None))
    assert await written(services, me, put("a", "again", version=0)) == [3]
    page = await services.state.history(me, StateGet(scope=OWN, key="a"))
    assert [(v.version, v.value, v.deleted) for v in page.items] == [
        (3, "again", False),
        (2, "", True),
        (1, "1", False),
    ]
    with pytest.raises(NotFound):
        await services.state.history(me, StateGet(scope=OWN, key="never"))


async def test_a_list_pages_by_prefix(services: Services, finance: AgentIdentity) -> None:
    me = finance.actor
    await written(services, me, *(put(key, key) for key in ("a/1", "a/2", "b/1", "a/3")))
    first = await services.state.list(me, StateList(scope=OWN, prefix="a/", limit=2))
    assert ([v.key for v in first.items], first.next) == (["a/1", "a/2"], "a/2")
    rest = await services.state.list(me, StateList(scope=OWN, prefix="a/", limit=2, cursor=first.next))
    assert ([v.key for v in rest.items], rest.next) == (["a/3"], "")


async def test_a_watch_wakes_and_misses_nothing(services: Services, finance: AgentIdentity) -> None:
    me = finance.actor
    await written(services, me, put("a", "1"))
    head = (await services.state.list(me, StateList(scope=OWN))).seq
    waiting = asyncio.create_task(services.state.watch(me, StateWatch(scope=OWN, after=head, wait=60)))
    await asyncio.sleep(0)
    await written(services, me, put("b", "2"))
    page = await waiting
    assert [(v.key, v.value) for v in page.items] == [("b", "2")]
    await written(services, me, put("b", "3"), put("a", None))
    more = await services.state.watch(me, StateWatch(scope=OWN, after=page.seq, wait=60))
    assert [(v.key, v.value, v.deleted) for v in more.items] == [("b", "3", False), ("a", "", True)]
    nothing = await services.state.watch(me, StateWatch(scope=OWN, after=more.seq, wait=0))
    assert (nothing.items, nothing.seq) == ((), more.seq)


async def test_quota_holds_and_history_is_bounded(
    services: Services, finance: AgentIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("MOST_KEYS", 2), ("MOST_CHARS", 10), ("VERSIONS", 3)):
        monkeypatch.setattr(rules, name, value)
    me = finance.actor
    await written(services, me, put("a", "12345"), put("b", "1"))
    for much in (put("c", ""), put("b", "123456")):
        with pytest.raises(Conflict, match="would exceed"):
            await services.state.put(me, much)
    await written(services, me, *(put("b", str(n)) for n in range(5)), put("a", None), put("c", "123456789"))
    page = await services.state.history(me, StateGet(scope=OWN, key="b"))
    assert [v.version for v in page.items] == [6, 5, 4]


async def refused(services: Services, actor: Actor, scope: str) -> tuple[bool, bool]:
    """Whether reading and writing are refused."""
    found = []
    for work in (
        services.state.list(actor, StateList(scope=scope)),
        services.state.put(actor, put("x", "1", scope)),
    ):
        try:
            await work
        except (Denied, NotFound):
            found.append(True)
        else:
            found.append(False)
    return found[0], found[1]


async def test_who_may(services: Services, finance: AgentIdentity, clerk: Actor) -> None:
    other = AgentIdentity(TENANT, "orbit/sales-1", "i").actor
    head, seller = (services.directory.person_actor(TENANT, name) for name in ("head", "seller"))
    admin = services.directory.admin_actor(TENANT)
    free, read_only, never = (False, False), (False, True), (True, True)
    expected = {
        OWN: {finance.actor: free, other: never, clerk: free, head: read_only, seller: never, admin: free},
        NODE: {finance.actor: free, other: never, seller: never, admin: free},
        ABOVE: {finance.actor: never, admin: free},
        "tenant": {finance.actor: read_only, other: read_only, seller: read_only, admin: free},
        "agent:orbit/nobody": {finance.actor: never, clerk: never},
        "node:orbit/nowhere": {finance.actor: never},
    }
    for scope, actors in expected.items():
        for actor, wanted in actors.items():
            assert await refused(services, actor, scope) == wanted, (scope, actor.id)


async def test_a_session_belongs_to_its_participants(
    services: Services, finance: AgentIdentity, clerk: Actor
) -> None:
    view = (await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))).view
    scope = f"session:{view.session_id}"
    head, seller = (services.directory.person_actor(TENANT, name) for name in ("head", "seller"))
    assert await refused(services, finance.actor, scope) == (False, False)
    assert await refused(services, clerk, scope) == (False, False)
    assert await refused(services, head, scope) == (False, True)
    assert await refused(services, seller, scope) == (True, True)
    assert await refused(services, clerk, "session:ses_unknown") == (True, True)


async def test_values_are_masked_and_known_in_the_session_that_reads_them(
    services: Services, finance: AgentIdentity, clerk: Actor
) -> None:
    iban = "DE89370400440532013000"
    view = (await services.tasks.create(clerk, TaskCreate(prompt=f"Pay to {iban}.", agent="finance-1"))).view
    other = (await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))).view
    token = view.prompt.removeprefix("Pay to ").removesuffix(".")
    note = put("account", f"use {token} now", NODE, sessionId=view.session_id)
    assert (await services.state.put(finance.actor, note)).value == f"use {token} now"
    asked = StateGet(scope=NODE, key="account", session_id=other.session_id)
    assert (await services.state.get(finance.actor, asked)).value == f"use {token} now"
    known = await services.pseudonyms.known(TENANT, other.session_id, [token])
    assert known == {token}
    plain = await services.state.put(services.directory.admin_actor(TENANT), put("p", f"also {iban}", NODE))
    assert iban not in plain.value
    with pytest.raises(InvalidInput, match="must be masked"):
        await services.state.put(finance.actor, put(iban, "x", NODE))
    with pytest.raises(Denied):
        await services.state.put(
            AgentIdentity(TENANT, "orbit/sales-1", "i").actor,
            put("x", "1", "agent:orbit/sales-1", sessionId=view.session_id),
        )


async def test_marks_of_removed_keys_are_forgotten(
    services: Services, finance: AgentIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    await written(services, finance.actor, put("a", "1"), put("a", None), put("b", "1"))
    assert await services.state.sweep((TENANT,)) == 0
    monkeypatch.setattr(rules, "MARKS_KEPT", timedelta(0))
    assert await services.state.sweep((TENANT,)) == 1
    assert await shown(services, finance.actor, "b") == "1"
    with pytest.raises(CadreError):
        await services.state.history(finance.actor, StateGet(scope=OWN, key="a"))
