"""An approval of several rules: a yes counts once, and no rule comes back to who gave it for another."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cadre_controller.services import panels
from cadre_controller.services.panels import Question, Requirement
from cadre_core.model import ApprovalRule
from tests.unit.core.build import Docs, company, set_field, snapshot

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
PERSONS = {f"id-{name}": f"co/{name}" for name in ("ceo", "fin-head", "fin-dep", "mkt-head")}


def led() -> Docs:
    """The line of finance: fin-head, then fin-dep (at ops), then ceo."""
    return set_field(
        company(), "OrgNode/ops", "members", [{"personRef": {"name": "fin-dep"}, "roles": ["Head"]}]
    )


def asked(docs: Docs, now: datetime = NOW) -> Question:
    return Question(snapshot(docs), "co/finance", frozenset(), now, PERSONS)


def required(*nodes: str, quorum: int = 1, separate: bool = True) -> tuple[Requirement, ...]:
    rules = [
        ApprovalRule("ReportingLine", "Head", "", quorum, separate, 3600, "Escalate", node) for node in nodes
    ]
    return panels.requirements_of([(f"co/p#{n}", rule) for n, rule in enumerate(rules)], NOW)


def yes(question: Question, requirements: tuple[Requirement, ...], name: str) -> tuple[Requirement, ...]:
    return panels.approve(question, requirements, f"co/{name}", f"id-{name}")


@pytest.mark.parametrize("separate", [True, False])
def test_escalation_passes_over_who_agreed_to_another_rule(separate: bool) -> None:
    docs = led()
    agreed = yes(asked(docs), required("co/ops", "co/finance", separate=separate), "fin-dep")
    assert [r.met for r in agreed] == [True, False]
    assert panels.approvers(asked(docs), agreed) == ("co/fin-head",)
    moved = panels.escalate(asked(docs, LATER), agreed)
    assert moved is not None
    assert panels.approvers(asked(docs, LATER), moved) == ("co/fin-head", "co/ceo")
    assert all(r.met for r in yes(asked(docs, LATER), moved, "ceo"))


def test_past_who_agreed_at_the_top_there_is_nobody() -> None:
    docs = led()
    agreed = yes(asked(docs), required("co/co", "co/ops"), "ceo")
    assert panels.escalate(asked(docs), agreed) == agreed
    assert panels.escalate(asked(docs, LATER), agreed) is None


def test_one_yes_counts_for_every_rule_it_reaches() -> None:
    agreed = yes(asked(led()), required("co/ops", "co/ops"), "fin-dep")
    assert all(r.met for r in agreed)


def test_who_agreed_still_counts_for_the_quorum() -> None:
    docs = led()
    agreed = yes(asked(docs), required("co/finance", "co/ops", quorum=2), "fin-dep")
    assert panels.approvers(asked(docs), agreed) == ("co/fin-head", "co/ceo")
    agreed = yes(asked(docs), agreed, "fin-head")
    assert [r.met for r in agreed] == [True, False]
    assert panels.approvers(asked(docs), agreed) == ("co/ceo",)
    assert all(r.met for r in yes(asked(docs), agreed, "ceo"))


def test_the_stand_in_of_who_agreed_is_passed_over_too() -> None:
    docs = led()
    agreed = yes(asked(docs), required("co/ops", "co/finance"), "fin-dep")
    away = {"name": "w", "from": "2026-06-01T13:00:00Z", "to": "2026-06-02T00:00:00Z"}
    away |= {"delegateRef": {"name": "mkt-head"}}
    set_field(docs, "Person/fin-dep", "absences", [away])
    moved = panels.escalate(asked(docs, LATER), agreed)
    assert moved is not None
    assert panels.approvers(asked(docs, LATER), moved) == ("co/fin-head", "co/ceo")


def test_who_left_the_chart_bars_nobody() -> None:
    gone = replace(required("co/ops")[0], approved_by=("id-gone",))
    open_ = required("co/finance")[0]
    assert panels.approvers(asked(led()), (gone, open_)) == ("co/fin-head",)
