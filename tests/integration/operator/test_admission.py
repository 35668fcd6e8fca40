"""Who may write what, asked of the operator by a real API server, for persons, machines and strangers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.kube.cluster import collection
from tests.integration.operator.site import ISSUER, Object, Site, open_site
from tests.support.kube import KubeServer, Reply, wait_until

pytestmark = pytest.mark.kube
GITOPS = "system:serviceaccount:argocd:argocd-application-controller"
DECISION = "cadre.dev/decision"
BOTH = [{"name": "hr"}, {"name": "finance"}]
HIMSELF = {"personRef": {"name": "s-marino"}, "roles": ["Head"]}


@pytest.fixture(scope="module")
def company(prepared: KubeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One company for all tests here; each leaves it as it was, or uses objects of its own."""
    folder: Path = tmp_path_factory.mktemp("admission")
    with open_site(prepared, folder) as site:
        site.create_acme()
        site.operator(CADRE_GITOPS_USERS=GITOPS, CADRE_ISSUER_PREFIXES=f"oidc:={ISSUER}")
        site.wait_acme()
        yield site


def agent(site: Site, name: str, node: str = "support", **spec: object) -> Object:
    """Return a small agent."""
    body = {"nodeRef": {"name": node}, "purpose": "Test.", "lifecycle": "Suspended", **spec}
    metadata = {"name": name, "namespace": site.namespace}
    return {"apiVersion": "cadre.dev/v1alpha1", "kind": "Agent", "metadata": metadata, "spec": body}


def create(site: Site, user: str, obj: Object, query: str = "") -> Reply:
    """Create as somebody."""
    return site.user(user).post(collection(obj) + query, obj)


def edit(site: Site, user: str, kind: str, name: str, body: Object) -> Reply:
    """Edit as somebody."""
    return site.patch(kind, name, body, site.user(user))


def decision(approved: str) -> Object:
    """Return what `kubectl annotate` sends to consent."""
    return {"metadata": {"annotations": {DECISION: f"approve:{approved}"}}}


def refused(reply: Reply, *words: str) -> None:
    """Assert that a write was refused, with these words."""
    assert 400 <= reply.status < 500, reply
    for word in words:
        assert word in reply.message, reply.message


def test_a_lead_makes_an_agent_at_his_node_and_owns_it(company: Site) -> None:
    reply = create(company, "g-bennett", agent(company, "by-lead"))
    assert reply.status == 201, reply.message
    assert reply.body["spec"]["ownerRef"] == {"name": "g-bennett"}
    company.wait_condition("Agent", "by-lead", "Accepted", "True")
    company.user("g-bennett").delete(company.path("Agent", "by-lead"))


def test_an_identity_may_come_with_a_prefix(company: Site) -> None:
    assert create(company, "oidc:acme|g-bennett", agent(company, "prefixed"), "?dryRun=All").status == 201
    refused(create(company, "oidc:acme|nobody", agent(company, "prefixed"), "?dryRun=All"), "no Person")


GREEDY = pytest.mark.parametrize(
    ("what", "kind", "name", "body"),
    [
        ("his boss's chair", "OrgNode", "corporate", {"spec": {"members": [HIMSELF]}}),
        ("his budget", "OrgNode", "hr", {"spec": {"budget": {"amount": "9000.00", "currency": "USD"}}}),
        ("consent away", "OrgNode", "hr", {"spec": {"agents": {"consent": "Never"}}}),
        ("other profiles", "OrgNode", "hr", {"spec": {"agents": {"allowedProfiles": BOTH}}}),
        ("the policy above", "Policy", "company-privacy", {"spec": {"enforcement": "DryRun"}}),
        ("a provider's host", "ModelProvider", "scripted", {"spec": {"openai": {"baseURL": "https://e.vil"}}}),
        ("a tool's host", "ToolServer", "ledger", {"spec": {"clearance": ["PHI"]}}),
        ("his clearance", "Person", "s-marino", {"spec": {"clearance": ["PHI", "CREDENTIALS"]}}),
    ],
)  # fmt: skip


@GREEDY
def test_a_lead_cannot_give_himself(company: Site, what: str, kind: str, name: str, body: Object) -> None:
    before = company.get(kind, name)["spec"]
    refused(edit(company, "s-marino", kind, name, body), "ask")
    assert company.get(kind, name)["spec"] == before, what


@GREEDY
def test_a_machine_that_writes_the_same_has_it_wait(
    company: Site, what: str, kind: str, name: str, body: Object
) -> None:
    reply = company.user(GITOPS).patch(f"{company.path(kind, name)}?dryRun=All", body)
    assert reply.status == 200, reply.message
    held = json.loads(reply.body["metadata"]["annotations"]["cadre.dev/held"])
    assert held["ask"], what


def test_a_lead_cannot_delete_a_policy_above_nor_claim_a_tenant(company: Site) -> None:
    refused(company.user("s-marino").delete(company.path("Policy", "company-privacy")), "NotEntitled")
    root = {"type": "Organization", "title": "Mine"}
    metadata = {"name": "mine", "namespace": company.namespace}
    node = {"apiVersion": "cadre.dev/v1alpha1", "kind": "OrgNode", "metadata": metadata, "spec": root}
    refused(create(company, "s-marino", node), "NeedsTenantRight", "tenants.cadre.dev")


def test_a_foreign_owner_has_to_agree(company: Site) -> None:
    reply = create(company, "g-bennett", agent(company, "foreign", ownerRef={"name": "h-keller"}))
    assert reply.status == 201, reply.message
    cond = company.wait_condition("Agent", "foreign", "AwaitingApproval", "True", "OwnerConsentRequired")
    assert company.child("StatefulSet", "foreign") is None
    approve = {
        "metadata": {"annotations": {DECISION: f"approve:{cond['message'].rpartition('approve:')[2]}"}}
    }
    refused(edit(company, "g-bennett", "Agent", "foreign", approve), "NotEntitled", "h-keller")
    assert edit(company, "h-keller", "Agent", "foreign", approve).status == 200
    company.wait_condition("Agent", "foreign", "Accepted", "True")
    company.wait_child("StatefulSet", "foreign")
    assert DECISION not in company.get("Agent", "foreign")["metadata"].get("annotations", {})
    company.client.delete(company.path("Agent", "foreign"))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"profileRef": {"name": "suport"}}, ["spec.profileRef", "no RoleProfile", "did you mean support?"]),
        ({"profileRef": {"name": "finance"}}, ["spec.profileRef", "does not allow profile"]),
        ({"nodeRef": {"name": "nowhere"}}, ["nowhere"]),
    ],
)
def test_a_wrong_reference_is_named_with_its_fix(company: Site, spec: Object, words: list[str]) -> None:
    refused(create(company, "a-lindqvist", agent(company, "wrong", **spec)), *words)


def test_a_circle_is_refused(company: Site) -> None:
    moved = {"spec": {"parentRef": {"name": "platform"}}}
    refused(edit(company, "a-lindqvist", "OrgNode", "engineering", moved), "Cycle", "each other's parents")


def test_a_quota_is_refused(company: Site) -> None:
    assert create(company, "a-lindqvist", agent(company, "hr-2", "hr")).status == 201
    company.wait_condition("Agent", "hr-2", "Accepted", "True")
    refused(create(company, "a-lindqvist", agent(company, "hr-3", "hr")), "QuotaExceeded", "at most 2")
    company.client.delete(company.path("Agent", "hr-2"))


def test_what_is_in_use_is_not_deleted(company: Site) -> None:
    refused(company.client.delete(company.path("RoleProfile", "finance")), "there is no RoleProfile")
    refused(company.client.delete(company.path("OrgNode", "finance")), "there is no OrgNode")
    assert company.condition("Agent", "finance-1", "Accepted")["status"] == "True"


def test_what_a_machine_may_not_decide_waits_and_has_no_effect(company: Site) -> None:
    before = company.get("OrgNode", "legal")["metadata"]
    change = {"spec": {"agents": {"max": 1, "allowedProfiles": [{"name": "legal"}]}}}
    assert edit(company, GITOPS, "OrgNode", "legal", change).status == 200
    cond = company.wait_condition("OrgNode", "legal", "Accepted", "False", "NotAuthorized")
    assert "r-stein" in cond["message"]
    forged = {"metadata": {"annotations": {"cadre.dev/held": None}}}
    assert edit(company, GITOPS, "OrgNode", "legal", forged).status == 200
    assert "cadre.dev/held" in company.get("OrgNode", "legal")["metadata"]["annotations"]
    approved = cond["message"].rpartition("approve:")[2]
    refused(edit(company, GITOPS, "OrgNode", "legal", decision(approved)), "personal")
    assert edit(company, "r-stein", "OrgNode", "legal", decision(approved)).status == 200
    company.wait_condition("OrgNode", "legal", "Accepted", "True")
    assert before["uid"] == company.get("OrgNode", "legal")["metadata"]["uid"]


def test_a_machine_cannot_delete_what_others_decide(company: Site) -> None:
    refused(company.user(GITOPS).delete(company.path("Policy", "people-data")), "NoPerson")


def test_a_stranger_is_told_so(company: Site) -> None:
    refused(create(company, "stranger:x", agent(company, "strange")), "no Person here", "stranger:x")


def test_stamps_cannot_be_forged(company: Site) -> None:
    obj = agent(company, "forged")
    obj["metadata"]["annotations"] = {"cadre.dev/consent": '{"rightsHash":"x","seal":"y"}'}
    reply = create(company, "g-bennett", obj)
    assert reply.status == 201
    assert "cadre.dev/consent" not in reply.body["metadata"].get("annotations", {})
    company.client.delete(company.path("Agent", "forged"))


def test_scaling_is_by_the_subresource_and_within_bounds(company: Site) -> None:
    replicas = {"spec": {"replicas": 2}}
    refused(edit(company, "g-bennett", "Agent", "support-1", replicas), "UseScale", "kubectl scale")
    scale = f"{company.path('Agent', 'support-1')}/scale"
    assert company.user("g-bennett").patch(scale, replicas).status == 200
    refused(company.user("g-bennett").patch(scale, {"spec": {"replicas": 5}}), "spec.scaling.max")
    refused(company.user("d-okafor").patch(scale, replicas), "NotEntitled")


def test_a_dry_run_leaves_nothing_behind(company: Site) -> None:
    company.settle()
    writes = len(company.proxy.changes())
    reply = create(company, "g-bennett", agent(company, "dry", ownerRef={"name": "h-keller"}), "?dryRun=All")
    assert reply.status == 201, reply.message
    company.settle()
    assert len(company.proxy.changes()) == writes
    assert company.client.get(company.path("Agent", "dry")).status == 404


def test_consent_to_rights(company: Site) -> None:
    node = {"spec": {"agents": {"max": 4, "allowedProfiles": [{"name": "analyst"}], "consent": "Head"}}}
    assert edit(company, "p-raman", "OrgNode", "analytics", node).status == 200
    reply = create(company, "n-fischer", agent(company, "asks", "analytics", lifecycle="Running"))
    assert reply.status == 201, reply.message
    cond = company.wait_condition("Agent", "asks", "AwaitingApproval", "True", "ConsentRequired")
    assert company.child("StatefulSet", "asks") is None
    assert company.get("Agent", "asks")["status"]["phase"] == "AwaitingApproval"
    rights = cond["message"].rpartition("approve:")[2]
    decision = {"metadata": {"annotations": {DECISION: f"approve:{rights}"}}}
    refused(edit(company, "p-raman", "Agent", "asks", decision), "NotEntitled", "n-fischer")
    refused(
        edit(company, "n-fischer", "Agent", "asks", {"metadata": {"annotations": {DECISION: "approve:old"}}}),
        "StaleDecision",
    )
    assert edit(company, "n-fischer", "Agent", "asks", decision).status == 200
    company.wait_child("StatefulSet", "asks")
    wait_until("the record", lambda: "consent" in company.get("Agent", "asks")["status"])
    consent = company.get("Agent", "asks")["status"]["consent"]
    assert (consent["rightsHash"], consent["by"]["name"]) == (rights, "n-fischer")
    _narrowing_applies_at_once(company, rights)
    _widening_asks_again(company)


def _narrowing_applies_at_once(company: Site, rights: str) -> None:
    narrow = {"spec": {"narrow": {"tools": [{"name": "mesh", "deny": [{"tool": "notify"}]}]}}}
    assert edit(company, "n-fischer", "Agent", "asks", narrow).status == 200
    wait_until(
        "smaller rights", lambda: company.get("Agent", "asks")["status"]["consent"]["rightsHash"] != rights
    )
    assert not company.condition("Agent", "asks", "AwaitingApproval")


def _consented(company: Site) -> str:
    return str(company.get("Agent", "asks")["status"]["consent"]["rightsHash"])


def _widening_asks_again(company: Site) -> None:
    before = company.wait_child("StatefulSet", "asks")
    assert edit(company, "n-fischer", "Agent", "asks", {"spec": {"narrow": None}}).status == 200
    company.wait_condition("Agent", "asks", "AwaitingApproval", "True", "RightsWidened")
    after = company.wait_child("StatefulSet", "asks")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"], "the old serve on"
    suspend = {"spec": {"lifecycle": "Suspended"}}
    assert edit(company, "n-fischer", "Agent", "asks", suspend).status == 200
    company.wait_child("StatefulSet", "asks", lambda s: s["spec"]["replicas"] == 0)
