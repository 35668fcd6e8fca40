"""Who decides: the line upwards, absences, separation of duties, quorum."""

from datetime import UTC, datetime

import pytest

from cadre_core.approvers import Level, approver_chain
from cadre_core.model import ApprovalRule
from tests.unit.core.build import Docs, company, set_field, snapshot

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
AWAY = {"name": "w", "from": "2026-06-01T00:00:00Z", "to": "2026-06-02T00:00:00Z"}


def rule(role: str = "Head", quorum: int = 1, separate: bool = True, node: str = "") -> ApprovalRule:
    return ApprovalRule("ReportingLine", role, "", quorum, separate, 3600, "Escalate", node)


def away(docs: Docs, person: str, delegate: str = "") -> Docs:
    entry = {**AWAY, **({"delegateRef": {"name": delegate}} if delegate else {})}
    return set_field(docs, f"Person/{person}", "absences", [entry])


def chain(
    docs: Docs, asked: ApprovalRule | None = None, requesters: tuple[str, ...] = (), now: datetime = NOW
) -> list[tuple[str, tuple[str, ...]]]:
    found = approver_chain(snapshot(docs), "co/finance", asked or rule(), frozenset(requesters), now)
    return [(level.node, level.persons) for level in found]


def test_heads_upwards_passing_over_empty_nodes() -> None:
    assert chain(company()) == [("co/finance", ("co/fin-head",)), ("co/co", ("co/ceo",))]


def test_the_line_may_start_elsewhere() -> None:
    assert chain(company(), rule(node="co/marketing"))[0] == ("co/marketing", ("co/mkt-head",))
    assert chain(company(), rule(node="co/none")) == []


def test_other_roles() -> None:
    assert chain(company(), rule("Approver")) == [("co/finance", ("co/fin-dep",))]


def test_nobody_decides_about_his_own_request() -> None:
    assert chain(company(), requesters=("co/fin-head",)) == [("co/co", ("co/ceo",))]
    both = chain(company(), rule(separate=False), ("co/fin-head",))
    assert both[0] == ("co/finance", ("co/fin-head",))
    assert chain(company(), requesters=("co/fin-head", "co/ceo")) == []


@pytest.mark.parametrize("separate", [True, False])
def test_who_agreed_to_another_rule_is_passed_over(separate: bool) -> None:
    docs = away(company(), "fin-head", "fin-dep")
    for decided in ("co/fin-head", "co/fin-dep"):
        done = frozenset({decided})
        line = approver_chain(snapshot(docs), "co/finance", rule(separate=separate), frozenset(), NOW, done)
        assert [(level.node, level.persons) for level in line] == [("co/co", ("co/ceo",))]


def test_a_delegate_stands_in_while_the_absence_lasts() -> None:
    docs = away(company(), "fin-head", "fin-dep")
    (first, _) = approver_chain(snapshot(docs), "co/finance", rule(), frozenset(), NOW)
    assert first == Level("co/finance", ("co/fin-dep",), (("co/fin-dep", "co/fin-head"),))
    assert chain(docs, now=datetime(2026, 6, 2, tzinfo=UTC))[0] == ("co/finance", ("co/fin-head",))
    assert chain(docs, now=datetime(2026, 6, 1, tzinfo=UTC))[0] == ("co/finance", ("co/fin-dep",))


@pytest.mark.parametrize(
    ("absent", "requesters"),
    [
        ({"fin-head": ""}, ()),
        ({"fin-head": "fin-dep", "fin-dep": "fin-head"}, ()),
        ({"fin-head": "fin-dep", "fin-dep": ""}, ()),
        ({"fin-head": "clerk"}, ("co/clerk",)),
    ],
)
def test_without_a_fit_stand_in_the_next_level_decides(
    absent: dict[str, str], requesters: tuple[str, ...]
) -> None:
    docs = company()
    for person, delegate in absent.items():
        away(docs, person, delegate)
    assert chain(docs, requesters=requesters) == [("co/co", ("co/ceo",))]


def test_a_quorum_joins_levels_until_there_are_enough() -> None:
    assert chain(company(), rule(quorum=2)) == [("co/finance", ("co/fin-head", "co/ceo"))]
    assert chain(company(), rule(quorum=3)) == []
    members = [{"personRef": {"name": n}, "roles": ["Head"]} for n in ("fin-head", "ceo")]
    docs = set_field(company(), "OrgNode/finance", "members", members)
    assert chain(docs, rule(quorum=2)) == [("co/finance", ("co/ceo", "co/fin-head"))]
