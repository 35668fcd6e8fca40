"""Routing: hard filters, score, and an explanation for each."""

import pytest

from cadre_api.protocol.base import Effect
from cadre_core.model import EffectiveAgent
from cadre_core.policy.decide import Decision
from cadre_core.routing import (
    EXPLAINED,
    AgentState,
    RouteBoard,
    RouteQuery,
    capabilities,
    route,
    route_board,
    route_index,
)
from tests.unit.core.build import Docs, company, resource, set_field, snapshot

IDLE = AgentState("Idle")


def board(docs: Docs | None = None, states: dict[str, AgentState] | None = None) -> RouteBoard:
    return route_board(route_index(snapshot(docs)), states or {})


def allow(agent: EffectiveAgent) -> Decision:
    return Decision(Effect.ALLOW)


def pair() -> Docs:
    docs = company()
    docs["Agent/fin-2"] = resource("Agent", "fin-2", "{nodeRef: {name: finance}, purpose: More}")
    return docs


def choose(query: RouteQuery, states: dict[str, AgentState] | None = None, docs: Docs | None = None) -> str:
    found = {f"co/{name}": IDLE for name in ("fin-1", "fin-2", "mkt-1")} | (states or {})
    return route(board(docs or pair(), found), query, allow).agent


def test_by_role_and_by_what_the_role_inherits() -> None:
    assert choose(RouteQuery(role="marketing")) == "co/mkt-1"
    assert choose(RouteQuery(role="base")) in {"co/fin-1", "co/mkt-1", "co/fin-2"}
    exact = route(board(), RouteQuery(role="finance"), allow)
    terms = {t.name: t for t in exact.candidates[0].terms if t.score}
    assert (exact.agent, exact.reason, terms["role"].score) == ("co/fin-1", "Chosen", 1.0)


def test_by_skill_tag_recipe_or_tool() -> None:
    for skill in ("budgets", "money", "close", "post", "ledger", "ledger_post"):
        assert choose(RouteQuery(skills=(skill,))).startswith("co/fin")
    assert choose(RouteQuery(recipe="close")).startswith("co/fin")
    assert "writing" in capabilities(snapshot().agents["co/mkt-1"])


@pytest.mark.parametrize(
    ("query", "states", "reason"),
    [
        (RouteQuery(role="legal"), {}, "NoSuchRole"),
        (RouteQuery(skills=("law",)), {}, "NoSkill"),
        (RouteQuery(recipe="none"), {}, "NoRecipe"),
        (RouteQuery(languages=("fr",)), {}, "NoLanguage"),
        (RouteQuery(agent="nobody"), {}, "UnknownAgent"),
        (RouteQuery(agent="mkt-1", exclude=frozenset({"co/mkt-1"})), {}, "Excluded"),
        (RouteQuery(agent="co/mkt-1"), {"co/mkt-1": AgentState("Failed")}, "Unavailable"),
        (
            RouteQuery(agent="mkt-1"),
            {"co/mkt-1": AgentState("Idle", model_available=False)},
            "ModelUnavailable",
        ),
    ],
)
def test_nobody(query: RouteQuery, states: dict[str, AgentState], reason: str) -> None:
    found = route(board(None, states), query, allow)
    assert (found.agent, found.reason) == ("", reason)
    assert all(not c.eligible for c in found.candidates)


def test_a_refusal_by_policy_is_explained() -> None:
    def deny(agent: EffectiveAgent) -> Decision:
        return Decision(Effect.DENY, reason="DeniedByRule", message="not you")

    found = route(board(), RouteQuery(role="finance"), deny)
    assert found.reason == "PolicyDenied"
    assert found.candidates[0].terms[-1].note == "not you"

    def hold(agent: EffectiveAgent) -> Decision:
        return Decision(Effect.REQUIRE_APPROVAL)

    assert route(board(), RouteQuery(role="finance"), hold).agent == "co/fin-1"


def test_a_suspended_agent_gets_nothing_and_an_empty_chart_has_nobody() -> None:
    docs = set_field(company(), "Agent/mkt-1", "lifecycle", "Suspended")
    assert route(board(docs), RouteQuery(role="marketing"), allow).reason == "Suspended"
    docs.pop("Agent/mkt-1")
    docs.pop("Agent/fin-1")
    assert route(board(docs), RouteQuery(), allow).reason == "NoAgents"


@pytest.mark.parametrize("state", ["Frozen", "Draining"])
def test_work_waits_at_an_agent_that_is_held_only_where_nobody_else_may_have_it(state: str) -> None:
    finance = RouteQuery(role="finance")
    held = {"co/fin-1": AgentState(state)}
    assert choose(finance, held, docs=company()) == "co/fin-1"
    overloaded = {"co/fin-2": AgentState("Offline", running=5, queued=500, oldest_queued_seconds=9e4)}
    assert choose(finance, held | overloaded) == "co/fin-2"
    both = {"co/fin-2": AgentState(state)}
    assert choose(finance, held | both) == "co/fin-1"


def test_ties_go_to_the_first_key() -> None:
    docs = set_field(pair(), "Agent/fin-2", "scaling", {"concurrency": 2, "max": 2})
    assert choose(RouteQuery(role="finance"), docs=docs) == "co/fin-1"


def test_load_age_liveness_and_affinity_count() -> None:
    finance = RouteQuery(role="finance")
    assert choose(finance, {"co/fin-1": AgentState("Busy", running=2, queued=4)}) == "co/fin-2"
    assert choose(finance, {"co/fin-1": AgentState("Busy", 2, 0, 600.0)}) == "co/fin-2"
    assert choose(finance, {"co/fin-1": AgentState("Offline")}) == "co/fin-2"
    known = RouteQuery(role="finance", participants=frozenset({"co/fin-2"}))
    assert choose(known) == "co/fin-2"
    assert choose(RouteQuery(near=("co/co", "co/marketing"))) == "co/mkt-1"


def test_what_costs_less_is_preferred() -> None:
    docs = pair()
    narrow = {"models": [{"providerRef": {"name": "cloud"}}]}
    set_field(docs, "Agent/fin-2", "narrow", narrow)
    assert choose(RouteQuery(role="finance"), docs=docs) == "co/fin-2"


def test_languages_match_by_primary_tag() -> None:
    assert choose(RouteQuery(role="marketing", languages=("DE-at",))) == "co/mkt-1"


def test_work_that_was_just_handed_out_counts_at_once() -> None:
    made, query = board(pair(), {"co/fin-1": IDLE, "co/fin-2": IDLE}), RouteQuery(role="finance")
    first = route(made, query, allow).agent
    made.given(first)
    made.given("co/nobody")
    second = route(made, query, allow)
    assert {first, second.agent} == {"co/fin-1", "co/fin-2"}
    assert next(t for t in second.candidates[1].terms if t.name == "load").note == "0 running, 1 queued"


def test_everyone_is_chosen_and_the_best_are_explained() -> None:
    docs = set_field(company(), "OrgNode/finance", "agents", {"max": 20}) | {
        f"Agent/fin-{n}": resource("Agent", f"fin-{n}", "{nodeRef: {name: finance}, purpose: More}")
        for n in range(2, 12)
    }
    found = route(board(docs), RouteQuery(role="finance", wanted=0), allow)
    assert (len(found.agents), found.total, len(found.candidates)) == (11, 12, EXPLAINED)
    assert [c.agent for c in found.candidates] == list(found.agents[:EXPLAINED])
    assert found.candidates[0].score == pytest.approx(
        sum(t.score for t in found.candidates[0].terms), abs=1e-5
    )
