"""Which objects form a tenant and which of their versions are in force."""

import pytest

from cadre_api.v1alpha1 import Resource
from cadre_core.tenancy import members, tenants
from cadre_operator.admission.stamps import HELD, HeldStamp, seal_held
from cadre_operator.chart.book import ChartBook
from cadre_operator.chart.evaluate import affected
from cadre_operator.keys import Key
from tests.unit.operator.company import SEAL, body, chart, entries, model

CYCLE = body("OrgNode", "team", {"parentRef": {"name": "team"}})
LOST = body("Agent", "a-1", {"nodeRef": {"name": "nowhere"}}, generation=2)


def node(name: str, namespace: str, parent: str = "", guests: tuple[str, ...] = ()) -> Resource:
    """A node, perhaps a root, perhaps inviting."""
    spec: dict[str, object] = {"type": "Team", "title": "T"}
    if parent:
        spec["parentRef"] = {"name": parent}
    if guests:
        spec["grants"] = [{"name": "g", "kinds": ["Agent"], "namespaces": list(guests)}]
    return model(body("OrgNode", name, spec, namespace=namespace))


def test_a_tenant_is_its_root_and_whom_it_invites() -> None:
    found = tenants([node("r", "a", guests=("b", "c")), node("s", "c", guests=("d",)), node("t", "e", "x")])
    assert found == {"a": "a", "b": "a", "c": "c", "d": "c", "e": "e"}
    assert members(found, "a") == ("a", "b")


def test_who_is_no_tenant_invites_nobody() -> None:
    assert tenants([node("x", "stranger", "r", guests=("a",)), node("r", "a")])["a"] == "a"


def test_a_good_chart_is_in_force() -> None:
    state = chart(entries())
    assert state.snapshot is not None
    assert len(state.in_force) == 8
    assert not state.problems
    assert state.revision.startswith("sha256:")


def test_a_broken_agent_keeps_its_last_good_version() -> None:
    before = chart(entries())
    after = chart(entries(LOST), before)
    assert after.snapshot is not None
    assert after.snapshot.agents["co/a-1"].node == "co/team"
    assert Key("Agent", "co", "a-1") not in after.in_force
    assert after.problems[Key("Agent", "co", "a-1")][0].reason == "DanglingReference"
    assert affected(before, after) == [Key("Agent", "co", "a-1")]


def test_without_a_last_good_version_a_broken_agent_is_left_out() -> None:
    state = chart(entries(LOST))
    assert state.snapshot is not None
    assert set(state.snapshot.agents) == {"co/a-2"}


def test_without_a_last_good_version_nothing_else_is_left_out() -> None:
    state = chart(entries(body("OrgNode", "team", {"parentRef": {"name": "nowhere"}})))
    assert state.snapshot is None
    assert state.in_force == frozenset()


def test_what_others_need_stays_in_force_when_it_is_deleted() -> None:
    before = chart(entries())
    after = chart(entries(without=("base",)), before)
    assert after.snapshot is not None
    assert "co/base" in after.snapshot.profiles
    assert after.problems
    later = chart(entries(without=("base", "a-2")), after)
    assert later.snapshot is not None
    assert set(later.snapshot.agents) == {"co/a-1"}, "a deleted agent does not come back"


def test_the_rest_goes_on_beside_a_broken_node() -> None:
    before = chart(entries())
    more = body("Agent", "a-3", {"nodeRef": {"name": "team"}, "purpose": "New."})
    after = chart(entries(body("OrgNode", "team", {"parentRef": {"name": "nowhere"}}), more), before)
    assert after.snapshot is not None
    assert "co/a-3" in after.snapshot.agents


def test_a_quota_beaten_by_an_agent_leaves_the_chart_as_it_was() -> None:
    before = chart(entries())
    more = [body("Agent", f"b-{i}", {"nodeRef": {"name": "team"}, "purpose": "X."}) for i in range(4)]
    after = chart(entries(*more), before)
    assert after.problems[Key("OrgNode", "co", "co")][0].reason == "QuotaExceeded"
    assert after.snapshot is not None
    assert len(after.snapshot.agents) == 2


def test_an_unreadable_object_is_told_and_its_last_version_stays() -> None:
    before = chart(entries())
    broken = body("RoleProfile", "base", {"title": 5}, generation=2)
    after = chart(entries(broken), before)
    assert after.problems[Key("RoleProfile", "co", "base")][0].field == "spec.title"
    assert after.snapshot is not None
    assert chart(entries(broken)).snapshot is None
    stray = body("Workflow", "w", {"steps": 1})
    alone = chart(entries(stray))
    assert alone.snapshot is not None


def test_without_a_root_every_place_says_so() -> None:
    state = chart(entries(without=("co",)))
    assert state.snapshot is None
    assert any(p.reason == "NoRoot" for p in state.problems[Key("Agent", "co", "a-2")])
    assert chart([]).snapshot is None


def test_a_held_change_does_not_count() -> None:
    former = {"title": "Old", "type": "Team", "parentRef": {"name": "co"}}
    stamp = HeldStamp("OrgNode co/team", "sha256:x", "NoPerson: x", ("co/boss",), former)
    notes = {"annotations": {HELD: seal_held(stamp, SEAL)}}
    held = chart(entries(body("OrgNode", "team", {"title": "New"}, **notes)))
    assert held.snapshot is not None
    assert held.snapshot.nodes["co/team"].title == "Old"
    new = HeldStamp("Agent co/a-3", "sha256:x", "NoPerson: x", (), None)
    notes = {"annotations": {HELD: seal_held(new, SEAL)}}
    added = chart(entries(body("Agent", "a-3", {"nodeRef": {"name": "team"}, "purpose": "X."}, **notes)))
    assert added.snapshot is not None
    assert "co/a-3" not in added.snapshot.agents
    forged = {"annotations": {HELD: seal_held(new, b"other")}}
    counted = chart(entries(body("Agent", "a-3", {"nodeRef": {"name": "team"}, "purpose": "X."}, **forged)))
    assert counted.snapshot is not None
    assert "co/a-3" in counted.snapshot.agents


def test_a_profile_concerns_its_agents_and_nobody_else() -> None:
    other = body("RoleProfile", "other", {"title": "O", "instructions": "X", "inherits": [{"name": "base"}]})
    uses = body("Agent", "a-2", {"profileRef": {"name": "other"}})
    before = chart(entries(other, uses))
    edited = body("RoleProfile", "other", {"title": "O", "instructions": "Y", "inherits": [{"name": "base"}]},
                  generation=2)  # fmt: skip
    after = chart(entries(edited, uses), before)
    assert affected(before, after) == [Key("Agent", "co", "a-2"), Key("RoleProfile", "co", "other")]
    assert affected(None, after) == sorted(after.fingerprints)


def test_compiling_takes_a_share_of_the_time_and_a_single_change_does_not_wait() -> None:
    book = ChartBook()
    assert book.pace("co", 100.0) == 0.5, "a first chart arrives in pieces"
    book.states["co"] = chart(entries())
    assert book.pace("co", 100.0) == 0.05
    book.compiled["co"] = (100.0, 0.3)
    assert book.pace("co", 100.2) == pytest.approx(1.0)
    assert book.pace("co", 200.0) == 0.05, "it has rested since"
    book.compiled["co"] = (100.0, 30.0)
    assert book.pace("co", 100.0) == 5.0
