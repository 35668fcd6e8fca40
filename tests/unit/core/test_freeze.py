"""Stop: what a freeze holds, who may say and take it back."""

from datetime import UTC, datetime, timedelta

import pytest

from cadre_api.protocol.freeze import FreezeScope, FreezeSource
from cadre_core.compile import compile_chart
from cadre_core.freeze import (
    NOBODY,
    Freeze,
    declared_freezes,
    frozen_agents,
    heads_towards,
    may_thaw,
    rank_of,
    stood_still,
)
from cadre_core.load import parse_documents
from cadre_core.model import Snapshot
from cadre_core.policy.request import TENANT_ADMIN
from tests.contract.company import CHART, documents

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
AGENT, NODE, TENANT = FreezeScope.AGENT, FreezeScope.NODE, FreezeScope.TENANT


@pytest.fixture(scope="module")
def chart() -> Snapshot:
    """A root with two departments, an agent in each."""
    resources, _ = parse_documents(documents())
    snapshot = compile_chart(resources).snapshot
    assert snapshot is not None
    return snapshot


def freeze(scope: FreezeScope, target: str = "", rank: str = "orbit/orbit", minutes: int = 0) -> Freeze:
    """A freeze said some minutes after noon."""
    at = NOON + timedelta(minutes=minutes)
    return Freeze(scope, target, "stop", FreezeSource.PERSON, rank, "person:x", at)


def test_what_a_freeze_holds(chart: Snapshot) -> None:
    one, subtree, all_of_it = freeze(AGENT, "orbit/sales-1"), freeze(NODE, "orbit/finance"), freeze(TENANT)
    assert set(frozen_agents(chart, [one])) == {"orbit/sales-1"}
    assert set(frozen_agents(chart, [subtree])) == {"orbit/finance-1"}
    assert set(frozen_agents(chart, [freeze(NODE, "orbit/orbit")])) == set(chart.agents)
    assert set(frozen_agents(chart, [all_of_it])) == set(chart.agents)
    assert frozen_agents(chart, [freeze(AGENT, "orbit/gone")]) == {}
    assert frozen_agents(chart, [freeze(TENANT, minutes=5), one])["orbit/sales-1"] == one


@pytest.mark.parametrize(
    ("person", "scope", "target", "rank"),
    [
        ("orbit/boss", AGENT, "orbit/finance-1", "orbit/orbit"),
        (TENANT_ADMIN, AGENT, "orbit/finance-1", "orbit/orbit"),
        ("orbit/head", AGENT, "orbit/finance-1", "orbit/finance"),
        ("orbit/head", NODE, "orbit/finance", "orbit/finance"),
        ("orbit/head", NODE, "orbit/orbit", None),
        ("orbit/head", TENANT, "", None),
        ("orbit/head", AGENT, "orbit/sales-1", None),
        ("orbit/clerk", AGENT, "orbit/finance-1", None),
        ("", AGENT, "orbit/finance-1", None),
        ("orbit/head", AGENT, "orbit/gone", None),
        ("orbit/boss", AGENT, "orbit/gone", "orbit/orbit"),
    ],
)
def test_who_may_freeze(
    chart: Snapshot, person: str, scope: FreezeScope, target: str, rank: str | None
) -> None:
    assert rank_of(chart, person, scope, target) == rank


def test_nobody_thaws_what_was_frozen_above_them(chart: Snapshot) -> None:
    by_the_boss = freeze(AGENT, "orbit/finance-1", "orbit/orbit")
    by_the_head = freeze(AGENT, "orbit/finance-1", "orbit/finance")
    by_anyone = freeze(AGENT, "orbit/finance-1", NOBODY)
    gone = freeze(AGENT, "orbit/gone", "orbit/finance")
    everyone = ("orbit/boss", "orbit/head", "orbit/clerk", "orbit/seller", TENANT_ADMIN)
    assert [p for p in everyone if may_thaw(chart, p, by_the_boss)] == ["orbit/boss", TENANT_ADMIN]
    assert [p for p in everyone if may_thaw(chart, p, by_the_head)] == [
        "orbit/boss",
        "orbit/head",
        TENANT_ADMIN,
    ]
    assert [p for p in everyone if may_thaw(chart, p, by_anyone)] == [
        "orbit/boss",
        "orbit/head",
        TENANT_ADMIN,
    ]
    assert [p for p in everyone if may_thaw(chart, p, gone)] == ["orbit/boss", TENANT_ADMIN]


def test_whom_to_ask(chart: Snapshot) -> None:
    assert heads_towards(chart, AGENT, "orbit/finance-1") == ("orbit/head", "orbit/boss")
    assert heads_towards(chart, TENANT, "") == ("orbit/boss",)


def test_what_objects_say() -> None:
    text = CHART.replace("  purpose: Books.", "  purpose: Books.\n  freeze: {reason: audit}")
    text = text.replace("  title: Sales\n", "  title: Sales\n  freeze: {reason: leak}\n")
    resources, problems = parse_documents([("chart.yaml", text)])
    assert problems == ()
    models = [m for found in resources.objects.values() for m in found.values()]
    said = {(f.scope, f.target): f.reason for f in declared_freezes(models)}
    assert said == {(AGENT, "orbit/finance-1"): "audit", (NODE, "orbit/sales"): "leak"}


def test_time_that_stood_still_is_counted_once() -> None:
    first, second = freeze(AGENT, "a/b"), freeze(TENANT, minutes=5)
    ten, twenty = NOON + timedelta(minutes=10), NOON + timedelta(minutes=20)
    assert stood_still(first, [second], ten) + stood_still(second, [], twenty) == timedelta(minutes=20)
    assert stood_still(second, [first], ten) + stood_still(first, [], twenty) == timedelta(minutes=20)
