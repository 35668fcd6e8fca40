"""Judging writes: what the API server tests cannot reach, or reach only slowly."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from cadre_api.v1alpha1 import Agent
from cadre_core.compile import compile_chart
from cadre_core.consent import Answer as May
from cadre_core.model import CompileResult
from cadre_core.resources import Resources
from cadre_operator.admission.certificates import due, issue
from cadre_operator.admission.identity import UNKNOWN, Caller, identify
from cadre_operator.admission.judge import Court, mutate, validate, validate_scale, verdict_of
from cadre_operator.admission.problems import Flawless, new_problems
from cadre_operator.admission.review import RefusedError, Review, read_review
from cadre_operator.admission.stamps import (
    CONSENT,
    DECISION,
    HELD,
    HeldStamp,
    StampTooLargeError,
    decision_of,
    open_held,
    seal_held,
    spec_hash,
)
from cadre_operator.chart.evaluate import Models
from cadre_operator.keys import Key
from cadre_operator.kube.fields import Json
from cadre_operator.settings import Identities
from tests.unit.operator.company import SEAL, body, chart, entries, model

STATE = chart(entries())
MACHINE = Caller("argocd", (), "")
LEAD = Caller("lead", (), "co/lead")
BOSS = Caller("boss", (), "co/boss")


async def no() -> bool:
    """Not an administrator."""
    return False


async def yes() -> bool:
    """An administrator."""
    return True


def court(caller: Caller, *, admin: bool = False, state: object = STATE) -> Court:
    """A court."""
    return Court(state, caller, yes if admin else no, SEAL, "2026-01-01T00:00:00Z")  # type: ignore[arg-type]


def review(new: Json | None, old: Json | None = None, dry_run: bool = False) -> Review:
    """A review of a write."""
    operation = "CREATE" if old is None else "DELETE" if new is None else "UPDATE"
    return read_review(operation, old, new, dry_run)


def policy(**spec: object) -> Json:
    """A policy on the team."""
    targets = [{"nodeRef": {"name": "team"}, "scope": "Subtree"}]
    return body("Policy", "p", {"targets": targets, "guard": {"mode": "Mask"}, **spec})


async def test_a_machines_second_change_waits_on_the_same_ground() -> None:
    old = body("OrgNode", "team")
    first = await mutate(review(body("OrgNode", "team", {"title": "One"}), old), court(MACHINE))
    stamp = open_held(first.notes[HELD] or "", "OrgNode co/team", SEAL)
    assert stamp is not None
    assert stamp.former is not None
    assert stamp.former["title"] == "Team"
    between = body("OrgNode", "team", {"title": "One"}, annotations={HELD: first.notes[HELD]})
    second = await mutate(
        review(body("OrgNode", "team", {"title": "Two"}, annotations={HELD: first.notes[HELD]}), between),
        court(MACHINE),
    )
    again = open_held(second.notes[HELD] or "", "OrgNode co/team", SEAL)
    assert again is not None
    assert again.former is not None
    assert again.former["title"] == "Team", "what counts is what was agreed to"
    entitled = await mutate(
        review(body("OrgNode", "team", {"title": "Three"}, annotations={HELD: first.notes[HELD]}), between),
        court(BOSS),
    )
    assert entitled.notes == {HELD: None}


async def test_a_new_object_of_a_machine_counts_for_nothing_yet() -> None:
    answer = await mutate(review(policy()), court(MACHINE))
    stamp = open_held(answer.notes[HELD] or "", "Policy co/p", SEAL)
    assert stamp is not None
    assert stamp.former is None
    assert stamp.ask == ("co/boss",)
    with pytest.raises(RefusedError, match="NoPerson"):
        await validate(review(None, policy()), court(MACHINE))
    assert (await mutate(review(None, policy()), court(MACHINE))).notes == {}


async def test_cadre_itself_and_the_clusters_hands_pass() -> None:
    trusted = replace(MACHINE, trusted=True)
    anything = review(body("OrgNode", "mine", {"type": "Team", "title": "T"}))
    assert (await mutate(anything, court(trusted))).notes == {}
    assert await validate(anything, court(trusted)) == ()


async def test_labels_alone_are_nobodys_business() -> None:
    old, new = body("Policy", "p", policy()["spec"]), policy()  # type: ignore[arg-type]
    labelled = {**new, "metadata": {**new["metadata"], "labels": {"a": "b"}}}  # type: ignore[dict-item]
    assert await validate(review(labelled, old), court(LEAD)) == ()
    assert (await mutate(review(labelled, old), court(LEAD))).notes == {}


async def test_a_stamp_that_somebody_wrote_is_put_back() -> None:
    old = body("Agent", "a-1", annotations={CONSENT: "was"})
    new = body("Agent", "a-1", annotations={CONSENT: "forged", HELD: "forged"})
    assert (await mutate(review(new, old), court(LEAD))).notes == {CONSENT: "was", HELD: None}
    with pytest.raises(RefusedError, match="only admission writes"):
        await validate(review(new, old), court(LEAD))


async def test_a_decision_comes_alone_and_from_a_person() -> None:
    notes = {"annotations": {DECISION: "approve:sha256:x"}}
    both = review(body("Agent", "a-1", {"purpose": "Other."}, **notes), body("Agent", "a-1"))
    with pytest.raises(RefusedError, match="DecisionAlone"):
        await mutate(both, court(LEAD))
    alone = review(body("Agent", "a-1", **notes), body("Agent", "a-1"))
    with pytest.raises(RefusedError, match="personal"):
        await mutate(alone, court(Caller("admin", (), UNKNOWN), admin=True))
    with pytest.raises(RefusedError, match="StaleDecision"):
        await mutate(alone, court(LEAD))
    decided = {**policy(), "metadata": {**policy()["metadata"], **notes}}  # type: ignore[dict-item]
    with pytest.raises(RefusedError, match="StaleDecision"):
        await mutate(review(decided, policy()), court(LEAD))
    assert decision_of({DECISION: "deny:x"}) == ""


async def test_an_administrator_stands_above_the_chart_but_not_above_its_sense() -> None:
    broken = review(body("OrgNode", "team", {"parentRef": {"name": "nowhere"}}), body("OrgNode", "team"))
    with pytest.raises(RefusedError, match="nowhere"):
        await validate(broken, court(Caller("admin", (), UNKNOWN), admin=True))
    root = review(body("OrgNode", "second", {"type": "Organization", "title": "S"}))
    assert (await verdict_of(root, court(BOSS))).reason == "NeedsTenantRight"
    assert (await verdict_of(root, court(BOSS, admin=True))).answer is May.ALLOW


async def test_without_a_chart_only_administrators_write() -> None:
    person = review(body("Person", "boss"))
    with pytest.raises(RefusedError, match="NoChart"):
        await validate(person, court(BOSS, state=None))
    warnings = await validate(person, court(BOSS, state=None, admin=True))
    assert "Accepted" in warnings[0]


def test_what_is_invalid_is_refused_with_every_problem() -> None:
    with pytest.raises(RefusedError, match=r"spec\.purpose"):
        review(body("Agent", "a-9", {"nodeRef": {"name": "team"}}))
    former = review(body("Agent", "a-1"), body("Agent", "a-1", {"purpose": 5}))
    assert former.old is None


async def test_scaling_is_judged_like_a_change_of_the_agent() -> None:
    agent = model(body("Agent", "a-1", {"scaling": {"max": 2}}))
    assert isinstance(agent, Agent)
    await validate_scale(agent, "co", "a-1", 2, court(LEAD))
    await validate_scale(None, "co", "x", 99, court(replace(MACHINE, scaler=True)))
    with pytest.raises(RefusedError, match="try again"):
        await validate_scale(None, "co", "x", 1, court(LEAD))
    with pytest.raises(RefusedError, match="NoPerson"):
        await validate_scale(agent, "co", "a-1", 1, court(MACHINE))
    with pytest.raises(RefusedError, match=r"scaling\.max"):
        await validate_scale(agent, "co", "a-1", 3, court(LEAD))


def test_who_is_who() -> None:
    identities = Identities(gitops=("argo*",), issuers=(("oidc:", "https://idp"),), trusted=("op",))
    snapshot = STATE.snapshot
    assert identify({"username": "https://idp#lead"}, snapshot, identities).person == "co/lead"
    assert identify({"username": "oidc:boss", "groups": ["g"]}, snapshot, identities).person == "co/boss"
    assert identify({"username": "oidc:nobody"}, snapshot, identities).person == UNKNOWN
    assert identify({"username": "https://idp#lead"}, None, identities).person == UNKNOWN
    assert identify({"username": "argocd"}, snapshot, identities).person == ""
    assert identify({"username": "op"}, snapshot, identities).trusted
    collector = "system:serviceaccount:kube-system:generic-garbage-collector"
    assert identify({"username": collector}, snapshot, identities).trusted
    assert not identify({}, snapshot, identities).trusted


def test_agents_that_are_alike_stand_for_each_other_and_still_count() -> None:
    more = [body("Agent", f"b-{i}", {"nodeRef": {"name": "team"}, "purpose": "X."}) for i in range(3)]
    state = chart(entries(*more))
    assert state.snapshot is not None
    extra = model(body("Agent", "c", {"nodeRef": {"name": "team"}, "purpose": "X."}))
    found = new_problems(state.models, (), None, extra)
    assert [(p.reason, p.resource) for p in found] == [("QuotaExceeded", "OrgNode co/co")]
    gone = state.models[Key("RoleProfile", "co", "base")]
    assert {p.reason for p in new_problems(state.models, (), gone, None)} >= {"DanglingReference"}
    known = [replace(p, message="before") for p in new_problems(state.models, (), None, extra)]
    assert new_problems(state.models, known, None, extra) == ()


def test_an_agent_like_one_that_was_fine_is_not_compiled_again() -> None:
    state, flawless, compiled = chart(entries()), Flawless(), list[int]()

    def compiler(resources: Resources) -> CompileResult:
        compiled.append(1)
        return compile_chart(resources)

    def found(name: str, models: Models = state.models, **spec: object) -> list[str]:
        agent = model(body("Agent", name, {"nodeRef": {"name": "team"}, "purpose": "X.", **spec}))
        return [p.reason for p in new_problems(models, (), None, agent, compiler, flawless)]

    assert (found("c"), found("d", purpose="Another."), len(compiled)) == ([], [], 1)
    for _ in range(2):
        assert found("e", nodeRef={"name": "nowhere"}) == ["DanglingReference"], "no problem is remembered"
    assert len(compiled) == 3
    rule = {"name": "r", "effect": "Deny", "actions": ["CallTool"], "subjects": [{"agentRef": {"name": "f"}}]}
    naming = {**state.models, Key("Policy", "co", "p"): model(policy(rules=[rule]))}
    assert (found("f", naming), found("f", naming), len(compiled)) == ([], [], 5), "others name it"
    assert (found("c", naming), len(compiled)) == ([], 5)
    full = {Key("Agent", "co", f"b-{i}"): state.models[Key("Agent", "co", "a-1")] for i in range(3)}
    assert found("c", {**naming, **full}) == ["QuotaExceeded"], "they still count"


def test_an_analyzer_per_machine_is_refused_until_the_cluster_has_them() -> None:
    spec = {"nodeRef": {"name": "team"}, "purpose": "X.", "analyzer": "Node"}
    state, extra = chart(entries()), model(body("Agent", "c", spec))
    assert [p.reason for p in new_problems(state.models, (), None, extra)] == ["NotOffered"]
    offering = partial(compile_chart, node_analyzer=True)
    assert new_problems(state.models, (), None, extra, offering) == ()


def test_an_agent_that_a_policy_names_is_kept_for_it() -> None:
    rule = {
        "name": "r",
        "effect": "Deny",
        "actions": ["CallTool"],
        "subjects": [{"agentRef": {"name": "a-2"}}],
    }
    state = chart(entries(policy(rules=[rule])))
    assert state.snapshot is not None
    extra = model(body("Agent", "a-0", {"nodeRef": {"name": "team"}, "purpose": "X."}))
    assert new_problems(state.models, (), None, extra) == ()


def test_a_change_too_large_to_hold_is_refused() -> None:
    with pytest.raises(StampTooLargeError):
        seal_held(HeldStamp("x", "y", "z", (), {"a": "b" * 300_000}), SEAL)
    assert open_held("[]", "x", SEAL) is None
    assert open_held('{"version":1,"seal":"x","n":1e400}', "x", SEAL) is None
    assert spec_hash({"a": 1e400}) == ""


async def test_a_machine_cannot_hold_what_does_not_fit() -> None:
    old = body("RoleProfile", "base", {"instructions": "x" * 32_000, "hints": ["y" * 4000] * 60})
    new = {**old, "spec": {**old["spec"], "title": "Other"}}  # type: ignore[dict-item]
    with pytest.raises(RefusedError, match="TooLarge"):
        await mutate(review(new, old), court(MACHINE))


def test_certificates_end() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    held = issue(("host", "10.0.0.1"), now)
    assert not due(held, ("host", "10.0.0.1"), now + timedelta(days=50))
    assert due(held, ("host", "10.0.0.1"), now + timedelta(days=61))
    assert due(held, ("other",), now)
    assert due(replace(held, serving=b"junk"), ("host",), now)
    assert due(replace(held, bundle=b"junk"), ("host", "10.0.0.1"), now)
