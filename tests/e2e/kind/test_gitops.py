"""What a tool applies that only follows Git: it is nobody, so whatever needs a right waits for a person."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.cluster import acme
from tests.e2e.cluster.companies import condition
from tests.e2e.cluster.kubectl import Kubectl, wait_for
from tests.e2e.cluster.people import People
from tests.e2e.cluster.release import ADMIN, GITOPS
from tests.e2e.cluster.steps import StepFailedError
from tests.e2e.kind.conftest import Lab
from tests.e2e.kind.test_lead import ATTEMPTS, subject_of

pytestmark = pytest.mark.timeout(1800)

_SYNC = (f"--as={GITOPS}",)


@pytest.fixture(scope="module")
def sync(lab: Lab, company: People) -> Iterator[Kubectl]:
    """kubectl of the administrator, once the tool's account may write the company's objects."""
    _, namespace, name = GITOPS.removeprefix("system:").split(":")
    metadata = {"name": "git-sync", "namespace": acme.NAMESPACE}
    lab.kubectl.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cadre-admin",
            },
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }
    )
    may = (*_SYNC, "auth", "can-i", "patch", "policies.cadre.dev", "-n", acme.NAMESPACE)
    wait_for("the cluster lets the tool write", lambda: lab.kubectl.succeeds(*may))
    yield lab.kubectl
    lab.kubectl("-n", acme.NAMESPACE, "delete", "rolebinding", "git-sync")


@contextmanager
def committed(kubectl: Kubectl, what: str) -> Iterator[tuple[str, ...]]:
    """The tool writes a lead's change, which then waits; afterwards an admin puts back what was."""
    kind, name, spec = subject_of(what)
    asked = (f"{kind}.cadre.dev", name, "-n", acme.NAMESPACE)
    waits = (kind, name, acme.NAMESPACE, "AwaitingApproval")
    before = kubectl.get(*asked)["spec"]
    kubectl(*_SYNC, "patch", *asked, "--type=merge", "-p", json.dumps({"spec": spec}))
    try:
        wait_for("it waits for consent", lambda: condition(kubectl, *waits) == "True")
        yield asked
    finally:
        whole = json.dumps([{"op": "replace", "path": "/spec", "value": before}])
        kubectl(*ADMIN, "patch", *asked, "--type=json", "-p", whole)
    wait_for("nothing waits", lambda: condition(kubectl, *waits) != "True")


@pytest.mark.parametrize("what", ATTEMPTS)
def test_what_a_lead_commits_waits_for_consent(sync: Kubectl, what: str) -> None:
    """Written and shown as waiting, with a seal over what counts meanwhile."""
    with committed(sync, what) as asked:
        assert "cadre.dev/held" in sync.get(*asked)["metadata"]["annotations"]


def test_a_head_by_commit_is_none(sync: Kubectl, company: People) -> None:
    """While his appointment waits he may not do what a head may."""
    budget = json.dumps({"spec": subject_of("his budget")[2]})
    with committed(sync, "his boss's chair"), pytest.raises(StepFailedError, match=r"denied|forbidden"):
        company.as_("s-marino")("patch", "orgnodes.cadre.dev", "hr", "--type=merge", "-p", budget)


def test_nothing_is_deleted_by_commit(sync: Kubectl) -> None:
    """A deletion cannot wait, so it is refused; nor does Git found companies."""
    with pytest.raises(StepFailedError, match="NoPerson"):
        sync(*_SYNC, "-n", acme.NAMESPACE, "delete", "policies.cadre.dev", "company-privacy")
