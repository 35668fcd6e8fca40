"""Who may write what."""

import pytest
import yaml

from cadre_api.v1alpha1 import Policy, Resource
from cadre_core.consent import Answer, Operation, Verdict, consenters, may_write, widens_by_policy
from cadre_core.load import parse_documents
from cadre_core.policy.request import TENANT_ADMIN
from tests.unit.core.build import Docs, company, policy, resource, set_field, snapshot

OWNED = "{nodeRef: {name: finance}, ownerRef: {name: clerk}, purpose: x}"
RULE = "{effect: Deny, actions: [CallTool]}"


def model(doc: dict) -> Resource:
    resources, problems = parse_documents([("x.yaml", yaml.safe_dump(doc))])
    assert problems == ()
    return next(m for kind in resources.objects.values() for m in kind.values())


def write(
    person: str, key: str, new: dict | None, old: dict | None = None, docs: Docs | None = None
) -> Verdict:
    operation = Operation.DELETE if new is None else Operation.CREATE if old is None else Operation.UPDATE
    before, after = (model(doc) if doc else None for doc in (old, new))
    return may_write(snapshot(docs), person, operation, key.split("/")[0], before, after)


def edited(key: str, path: str, value: object) -> tuple[dict, dict]:
    return set_field(company(), key, path, value)[key], company()[key]


def edit(person: str, key: str, path: str, value: object) -> Verdict:
    new, old = edited(key, path, value)
    return write(person, key, new, old)


def create(person: str, kind: str, spec: str | dict) -> Verdict:
    return write(person, kind, resource(kind, "new", spec))


def policy_doc(rule: str, node: str) -> dict:
    return policy(company(), "p", rule, node)["Policy/p"]


@pytest.mark.parametrize("key", ["ModelProvider/cloud", "ToolServer/ledger"])
def test_sources_are_for_tenant_admins(key: str) -> None:
    doc = company()[key]
    for person in (TENANT_ADMIN, "co/ceo"):
        assert write(person, key, doc, doc).answer is Answer.ALLOW
    refused = write("co/fin-head", key, doc, doc)
    assert (refused.answer, refused.reason, refused.ask) == (Answer.DENY, "AdminsOnly", ("co/ceo",))
    waits = write("", key, doc, doc)
    assert (waits.answer, waits.ask, waits.allowed) == (Answer.WAIT, ("co/ceo",), True)


@pytest.mark.parametrize("path", ["members", "budget", "agents", "grants"])
def test_a_node_is_governed_by_the_head_above(path: str) -> None:
    values: dict[str, object] = {
        "members": [],
        "budget": {"tokens": 5},
        "agents": {"consent": "Never"},
        "grants": [{"name": "x", "kinds": ["Agent"], "namespaces": ["eu"]}],
    }
    assert edit("co/ceo", "OrgNode/finance", path, values[path]).allowed
    refused = edit("co/fin-head", "OrgNode/finance", path, values[path])
    assert (refused.answer, refused.ask) == (Answer.DENY, ("co/ceo",))
    assert "co/ceo" in refused.message


def test_a_head_edits_the_words_of_his_node() -> None:
    assert edit("co/fin-head", "OrgNode/finance", "title", "Money").allowed
    assert not edit("co/mkt-head", "OrgNode/finance", "title", "Money").allowed


def test_moving_a_node_needs_both_heads() -> None:
    docs = company()
    docs["OrgNode/team"] = resource("OrgNode", "team", "{type: Team, title: T, parentRef: {name: finance}}")
    old = docs["OrgNode/team"]
    new = resource("OrgNode", "team", "{type: Team, title: T, parentRef: {name: marketing}}")
    assert write("co/ceo", "OrgNode", new, old, docs).allowed
    assert not write("co/fin-head", "OrgNode", new, old, docs).allowed
    assert not write("co/mkt-head", "OrgNode", new, old, docs).allowed
    assert write("co/fin-head", "OrgNode", None, old, docs).allowed


def test_a_root_is_a_tenant() -> None:
    spec = "{type: Organization, title: X}"
    assert create("co/ceo", "OrgNode", spec).reason == "NeedsTenantRight"
    assert create(TENANT_ADMIN, "OrgNode", spec).allowed
    assert create("", "OrgNode", spec).answer is Answer.DENY
    assert write("co/ceo", "OrgNode", None, company()["OrgNode/co"]).reason == "NeedsTenantRight"
    assert edit("co/ceo", "OrgNode/co", "title", "New").allowed
    root = edited("OrgNode/ops", "parentRef", None)
    assert write("co/ceo", "OrgNode", *root).reason == "NeedsTenantRight"


def test_policies_belong_to_the_head_above_their_targets() -> None:
    assert not write("co/fin-head", "Policy", policy_doc(RULE, "finance")).allowed
    assert write("co/ceo", "Policy", policy_doc(RULE, "finance")).allowed
    assert not write("co/fin-head", "Policy", None, policy_doc(RULE, "finance")).allowed
    docs = company()
    docs["OrgNode/team"] = resource("OrgNode", "team", "{type: Team, title: T, parentRef: {name: finance}}")
    assert write("co/fin-head", "Policy", policy_doc(RULE, "team"), docs=docs).allowed
    foreign = "{effect: Deny, actions: [CallTool], subjects: [{nodeRef: {name: marketing}}]}"
    assert not write("co/fin-head", "Policy", policy_doc(foreign, "team"), docs=docs).allowed
    own = "{effect: Deny, actions: [CallTool], subjects: [{agentRef: {name: fin-1}}]}"
    assert write("co/fin-head", "Policy", policy_doc(own, "team"), docs=docs).allowed
    assert not write("co/fin-head", "Policy", policy_doc(RULE, "co")).allowed


def test_taking_a_policy_away_widens() -> None:
    enforced = model(policy_doc(RULE, "co"))
    trial = model(policy(company(), "p", RULE, enforcement="DryRun")["Policy/p"])
    assert isinstance(enforced, Policy)
    assert isinstance(trial, Policy)
    assert widens_by_policy(enforced, None)
    assert widens_by_policy(enforced, trial)
    assert not widens_by_policy(trial, None)
    assert not widens_by_policy(None, enforced)
    assert not widens_by_policy(enforced, enforced)


def test_agents_are_requested_by_whoever_may() -> None:
    assert create("co/clerk", "Agent", OWNED).answer is Answer.ALLOW
    refused = create("co/fin-head", "Agent", OWNED)
    assert (refused.reason, refused.ask) == ("NotEntitled", ("co/clerk",))
    other = create("co/clerk", "Agent", "{nodeRef: {name: finance}, ownerRef: {name: fin-dep}, purpose: x}")
    assert (other.answer, other.reason, other.ask) == (Answer.WAIT, "OwnerConsent", ("co/fin-dep",))
    nobody = create("co/clerk", "Agent", "{nodeRef: {name: ops}, purpose: x}")
    assert (nobody.answer, nobody.ask) == (Answer.DENY, ("co/ceo",))
    machine = create("", "Agent", OWNED)
    assert (machine.answer, machine.reason) == (Answer.WAIT, "NoPerson")


def test_agents_are_removed_by_owner_head_or_requester() -> None:
    old = company()["Agent/fin-1"]
    for person in ("co/clerk", "co/fin-head", "co/ceo"):
        assert write(person, "Agent", None, old).allowed
    assert not write("co/mkt-head", "Agent", None, old).allowed


def test_moving_an_agent_needs_the_right_at_both_nodes() -> None:
    new, old = edited("Agent/fin-1", "nodeRef", {"name": "marketing"})
    assert not write("co/clerk", "Agent", new, old).allowed
    assert not write("co/mkt-head", "Agent", new, old).allowed


def test_profiles_belong_to_the_heads_that_use_them() -> None:
    assert edit("co/fin-head", "RoleProfile/finance", "title", "X").allowed
    assert not edit("co/mkt-head", "RoleProfile/finance", "title", "X").allowed
    assert not edit("co/fin-head", "RoleProfile/base", "title", "X").allowed
    assert create("co/mkt-head", "RoleProfile", "{title: New}").allowed
    assert not create("co/clerk", "RoleProfile", "{title: New}").allowed


def test_people_keep_their_own_absences() -> None:
    away = [{"name": "w", "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}]
    assert edit("co/clerk", "Person/clerk", "absences", away).reason == "OwnAbsences"
    assert not edit("co/clerk", "Person/clerk", "clearance", ["PHI"]).allowed
    assert not edit("co/fin-head", "Person/clerk", "absences", away).allowed


def test_workflows() -> None:
    spec = "{steps: [{name: a, task: {role: finance, prompt: x}}]}"
    assert create("co/clerk", "Workflow", spec).allowed
    assert create("co/fin-head", "Workflow", spec).allowed
    assert not create("co/fin-dep", "Workflow", spec).allowed


def test_what_is_missing_or_unknown_is_for_admins() -> None:
    found = snapshot()
    assert may_write(found, "co/clerk", "UPDATE", "Novelty", None, None).reason == "AdminsOnly"
    assert may_write(found, "co/clerk", "UPDATE", "RoleProfile", None, None).reason == "AdminsOnly"


def test_who_consents() -> None:
    assert consenters(snapshot(), "co/fin-1") == ("co/fin-head",)
    assert consenters(snapshot(), "co/mkt-1") == ()
    docs = set_field(company(), "OrgNode/finance", "agents", {"consent": "Approver"})
    assert consenters(snapshot(docs), "co/fin-1") == ("co/fin-dep",)
    docs = set_field(company(), "OrgNode/finance", "members", [])
    assert consenters(snapshot(docs), "co/fin-1") == ("co/ceo",)
