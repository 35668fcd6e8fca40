"""The API server's own policies: nobody but the cluster's hands touches what agents are made of."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cadre_core.manifests.protection import ProtectionSettings, protection
from tests.integration.operator.site import Object, Site
from tests.support.kube import KubeClient, Reply, wait_until

pytestmark = pytest.mark.kube
_API = "/apis/admissionregistration.k8s.io/v1"
_PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
OPERATOR = "system:serviceaccount:cadre-system:cadre-operator"
STATEFUL_SETS = "system:serviceaccount:kube-system:statefulset-controller"


def as_user(site: Site, user: str, *groups: str) -> KubeClient:
    """Somebody with every right that RBAC can give: only the policies are in the way."""
    client = site.server.client()
    headers = {"Impersonate-User": user, "Impersonate-Group": groups[0] if groups else "everything"}
    client._headers = {**client._headers, **headers}
    return client


@pytest.fixture
def protected(site: Site) -> Iterator[Site]:
    """A site with the policies in force, and a group `everything` that may do everything."""
    rbac = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    role = {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"}
    subjects = [
        {"kind": "Group", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
        for name in ("everything", "cadre:break-glass", "system:nodes")
    ]
    site.client.post(rbac, {"metadata": {"name": "everything"}, "subjects": subjects, "roleRef": role})
    labels = {"metadata": {"labels": {"cadre.dev/agents": "true"}}}
    site.client.patch(f"/api/v1/namespaces/{site.namespace}", labels)
    with in_force(site, ProtectionSettings(OPERATOR)):
        yield site
    site.client.delete(f"{rbac}/everything")


@contextmanager
def in_force(site: Site, settings: ProtectionSettings) -> Iterator[None]:
    """The policies at the API server."""
    objects = protection(settings)
    for obj in objects:
        reply = site.client.post(f"{_API}/{_PLURALS[str(obj['kind'])]}", obj)
        assert reply.status == 201, reply.message
    yield
    for obj in objects:
        site.client.delete(f"{_API}/{_PLURALS[str(obj['kind'])]}/{obj['metadata']['name']}")  # type: ignore[index]


def pod(name: str, account: str, owner: str = "") -> Object:
    """A pod with an account."""
    metadata: Object = {"name": name}
    if owner:
        reference = {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "name": owner,
            "uid": "u",
            "controller": True,
        }
        metadata["ownerReferences"] = [reference]
    spec = {"serviceAccountName": account, "containers": [{"name": "c", "image": "x"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def create(site: Site, user: str, obj: Object, group: str = "everything") -> Reply:
    """Create in the site's namespace, as a trial."""
    paths = {"Pod": "/api/v1/namespaces/{}/pods", "ConfigMap": "/api/v1/namespaces/{}/configmaps"}
    path = paths[obj["kind"]].format(site.namespace)
    return as_user(site, user, group).post(f"{path}?dryRun=All", obj)


def refused(attempt: Callable[[], Reply]) -> Reply:
    """Try until a policy refuses it: the API server learns of each, and of rights, by a watch."""

    def is_refused() -> bool:
        reply = attempt()
        return reply.status == 403 and "ValidatingAdmissionPolicy" in reply.message

    wait_until("the policy to hold", is_refused)
    return attempt()


def test_no_foreign_pod_gets_an_agents_account(protected: Site) -> None:
    refusal = refused(lambda: create(protected, "somebody", pod("mine", "agent-finance-1")))
    assert "create an Agent instead" in refusal.message
    assert create(protected, STATEFUL_SETS, pod("agent-a-0", "agent-a", "agent-b")).status == 403
    assert create(protected, STATEFUL_SETS, pod("agent-a-0", "agent-a", "agent-a")).status == 201
    assert create(protected, "somebody", pod("mine", "other")).status == 201


def test_no_token_of_an_agents_account(protected: Site) -> None:
    accounts = f"/api/v1/namespaces/{protected.namespace}/serviceaccounts"
    admin = as_user(protected, "somebody")
    for name in ("agent-finance-1", "other"):
        reply = admin.post(accounts, {"metadata": {"name": name}})
        assert reply.status == 201, reply.message
    request = {"spec": {"audiences": ["cadre-controller"]}}
    refused(lambda: admin.post(f"{accounts}/agent-finance-1/token", request))
    assert admin.post(f"{accounts}/other/token", request).status == 201


def test_nobody_enters_an_agents_pod(protected: Site) -> None:
    path = f"/api/v1/namespaces/{protected.namespace}/pods"
    protected.client.post(path, pod("agent-a-0", "default"))
    way = f"{path}/agent-a-0/exec?command=sh&container=c&stdout=true"
    assert "sealed" in refused(lambda: as_user(protected, "somebody").post(way, {})).message
    opened = as_user(protected, "somebody", "cadre:break-glass").post(way, {})
    assert "sealed" not in opened.message
    change = {"spec": {"ephemeralContainers": [{"name": "e", "image": "x"}]}}
    containers = f"{path}/agent-a-0/ephemeralcontainers"
    refused(lambda: as_user(protected, "somebody").patch(f"{containers}?dryRun=All", change))


def test_nobody_but_the_operator_writes_its_objects(protected: Site) -> None:
    labels = {"cadre.dev/agent": "a", "cadre.dev/tenant": "t"}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "agent-a", "labels": labels}}
    refused(lambda: create(protected, "somebody", obj))
    assert create(protected, OPERATOR, obj).status == 201
    path = f"/api/v1/namespaces/{protected.namespace}/configmaps"
    assert as_user(protected, OPERATOR).post(path, obj).status == 201
    stripped = {"metadata": {"labels": None}, "data": {"x": "y"}}
    assert as_user(protected, "somebody").patch(f"{path}/agent-a", stripped).status == 403
    assert as_user(protected, "somebody").delete(f"{path}/agent-a").status == 403
    plain = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}}
    assert create(protected, "somebody", plain).status == 201


def test_nobody_but_the_operator_writes_a_status(protected: Site) -> None:
    for obj in protected.acme():
        if obj["kind"] == "Person" and obj["metadata"]["name"] == "h-keller":
            protected.client.post(f"/apis/cadre.dev/v1alpha1/namespaces/{protected.namespace}/persons", obj)
    path = protected.path("Person", "h-keller") + "/status"
    status = {"status": {"observedGeneration": 1}}
    refused(lambda: as_user(protected, "somebody").patch(f"{path}?dryRun=All", status))
    assert as_user(protected, OPERATOR).patch(path, status).status == 200


def test_what_is_exempt_from_admission_is_not_served_and_can_hold_nothing(site: Site) -> None:
    exempt = {"CADRE_WEBHOOK_EXEMPT_NAMESPACES": site.namespace, "CADRE_WEBHOOK_TIMEOUT": "3"}
    replica = site.operator(start=False, CADRE_WATCH_NAMESPACES="", **exempt)
    replica.start()
    replica.wait_ready()
    hooks = site.client.get(f"{_API}/validatingwebhookconfigurations/cadre-operator").body["webhooks"]
    for hook in hooks:
        names = hook["namespaceSelector"]["matchExpressions"][0]
        assert (names["operator"], names["values"]) == ("NotIn", [site.namespace])
        assert hook["timeoutSeconds"] == 3
    site.create_acme()  # nobody was asked
    agents = {f"{site.namespace}/{o['metadata']['name']}" for o in site.acme() if o["kind"] == "Agent"}

    def told() -> set[str]:
        return {str(line.get("object")) for line in replica.logs() if "exempt" in str(line.get("message"))}

    wait_until("it to say so", lambda: agents <= told())
    site.settle()
    assert all("status" not in site.get("Agent", path.partition("/")[2]) for path in agents)
    assert site.child("ServiceAccount", "finance-1") is None
    with in_force(site, ProtectionSettings(OPERATOR, exempt=(site.namespace,))):
        path = site.path("Agent", "finance-1")
        change = {"spec": {"purpose": "Another."}}
        refusal = refused(lambda: site.client.patch(f"{path}?dryRun=All", change))
        assert "exempt from Cadre's admission" in refusal.message
        assert site.client.delete(path).status == 200, "its way out is open"
