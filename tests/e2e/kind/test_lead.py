"""A lead with more rights in the cluster than in the chart: admission asks the chart."""

import json
from typing import Any

import pytest

from tests.e2e.cluster import acme
from tests.e2e.cluster.kubectl import Kubectl, wait_for
from tests.e2e.cluster.people import People, user_name
from tests.e2e.cluster.steps import StepFailedError
from tests.e2e.kind.conftest import Lab

pytestmark = pytest.mark.timeout(1800)

Json = dict[str, Any]
_HIMSELF = {"personRef": {"name": "s-marino"}, "roles": ["Head"]}
ATTEMPTS: dict[str, tuple[str, Json]] = {
    "his boss's chair": ("orgnode/corporate", {"members": [_HIMSELF]}),
    "his budget": ("orgnode/hr", {"budget": {"amount": "9000.00", "currency": "USD"}}),
    "consent away": ("orgnode/hr", {"agents": {"consent": "Never"}}),
    "the policy above": ("policy/company-privacy", {"enforcement": "DryRun"}),
    "a provider's host": ("modelprovider/scripted", {"openai": {"baseURL": "https://models.invalid/v1"}}),
    "a provider's secret": (
        "modelprovider/scripted",
        {"credentialsRef": {"secret": {"name": "cadre-ca", "key": "tls.key"}}},
    ),
    "his clearance": ("person/s-marino", {"clearance": ["PHI", "CREDENTIALS"]}),
}


def subject_of(what: str) -> tuple[str, str, Json]:
    """(kind in the plural, name, change of the spec)."""
    subject, spec = ATTEMPTS[what]
    kind, _, name = subject.partition("/")
    return "policies" if kind == "policy" else f"{kind}s", name, spec


@pytest.fixture(scope="module")
def lead(lab: Lab, company: People) -> Kubectl:
    """Sofia Marino, head of HR, whom somebody made an admin of the namespace."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cadre-admin"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user_name("s-marino")}
    metadata = {"name": "too-generous", "namespace": acme.NAMESPACE}
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}
    lab.kubectl.apply({**kind, "metadata": metadata, "roleRef": role, "subjects": [subject]})
    kubectl = company.as_("s-marino")
    may = ("auth", "can-i", "delete", "policies.cadre.dev")
    wait_for("the cluster lets the lead write", lambda: kubectl.succeeds(*may))
    return kubectl


@pytest.mark.parametrize("what", ATTEMPTS)
def test_a_lead_cannot_give_himself(lab: Lab, lead: Kubectl, what: str) -> None:
    """Refused by name of the right that is missing, and nothing has changed."""
    kind, name, spec = subject_of(what)
    asked = (f"{kind}.cadre.dev", name, "-n", acme.NAMESPACE)
    before = lab.kubectl.get(*asked)["spec"]
    with pytest.raises(StepFailedError, match=r"denied the request: .*ask"):
        lead("patch", *asked, "--type=merge", "-p", json.dumps({"spec": spec}))
    assert lab.kubectl.get(*asked)["spec"] == before


def test_a_lead_cannot_delete_a_policy_above_nor_found_a_company(lab: Lab, lead: Kubectl) -> None:
    """A policy of the company stays, and a second root needs the right to make tenants."""
    with pytest.raises(StepFailedError, match="NotEntitled"):
        lead("delete", "policies.cadre.dev", "company-privacy")
    root = {"type": "Organization", "title": "Mine"}
    node = {
        "apiVersion": "cadre.dev/v1alpha1",
        "kind": "OrgNode",
        "metadata": {"name": "mine", "namespace": acme.NAMESPACE},
        "spec": root,
    }
    with pytest.raises(StepFailedError, match="NeedsTenantRight"):
        lead("create", "-f", "-", stdin=json.dumps(node))
    with pytest.raises(StepFailedError, match="written by the operator alone"):
        lab.kubectl(
            *("-n", acme.NAMESPACE, "patch", "agents.cadre.dev", "finance-1", "--subresource=status"),
            *("--type=merge", "-p", json.dumps({"status": {"phase": "Idle"}})),
        )
