"""The roles: what the programs do is allowed, what people may is objects of Cadre and nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cadre_api.v1alpha1 import GROUP, KINDS
from cadre_operator.kube.kinds import CHILD_KINDS, PLURALS
from tests.integration.chart.rendering import NAMESPACE, Helm, Object
from tests.integration.chart.server import apply, path_of
from tests.support.kube import KubeClient, KubeServer, wait_until

pytestmark = pytest.mark.kube
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_OURS = [kind.crd.plural for kind in KINDS.values()]
_RBAC = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


@dataclass(frozen=True)
class Act:
    """One thing somebody would do."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    name: str = ""

    def attributes(self) -> Object:
        """As an access review asks for it."""
        plural, _, sub = self.resource.partition("/")
        return {
            "verb": self.verb,
            "group": self.group,
            "resource": plural,
            "subresource": sub,
            "namespace": self.namespace,
            "name": self.name,
        }


def may(client: KubeClient, user: str, act: Act) -> bool:
    groups = ["system:authenticated"]
    spec = {"user": user, "groups": groups, "resourceAttributes": act.attributes()}
    review = client.post(_REVIEWS, {"spec": spec})
    assert review.status == 201, review.message
    return bool(review.body["status"]["allowed"])


def operator_acts(namespace: str) -> Iterator[Act]:
    """What the operator's code asks for in a namespace that it serves: watches, children, statuses."""
    for plural in _OURS:
        yield from (Act(verb, plural, GROUP, namespace) for verb in ("list", "watch"))
        yield Act("patch", f"{plural}/status", GROUP, namespace)
    for kind in CHILD_KINDS:
        group = kind[0].rpartition("/")[0]
        for verb in ("list", "watch", "create", "patch", "delete"):
            yield Act(verb, PLURALS[kind][0], group, namespace)
    yield Act("patch", "statefulsets/scale", "apps", namespace)
    yield from (Act(verb, "pods", "", namespace) for verb in ("list", "watch", "delete"))
    yield Act("create", "events", "", namespace)


def keeper_acts() -> Iterator[Act]:
    """What it keeps for itself."""
    for name in ("cadre-ca", "cadre-controller-tls", "cadre-login-key", "cadre-operator-webhook"):
        yield from (Act(verb, "secrets", "", NAMESPACE, name) for verb in ("get", "patch"))
    yield from (
        Act(verb, "leases", "coordination.k8s.io", NAMESPACE, "cadre-operator") for verb in ("get", "patch")
    )
    yield Act("get", "services", "", NAMESPACE, "cadre-controller-guard")
    yield Act("create", "subjectaccessreviews", "authorization.k8s.io")
    for kind in ("mutating", "validating"):
        for verb in ("get", "patch"):
            resource = f"{kind}webhookconfigurations"
            yield Act(verb, resource, "admissionregistration.k8s.io", name="cadre-operator")


FORBIDDEN_TO_ALL = (
    Act("list", "secrets", namespace="acme"),
    Act("get", "secrets", namespace="acme", name="any"),
    Act("get", "secrets", namespace=NAMESPACE, name="cadre-keystore"),
    Act("create", "secrets", namespace=NAMESPACE),
    Act("create", "pods", namespace="acme"),
    Act("create", "pods/exec", namespace="acme"),
    Act("create", "serviceaccounts/token", namespace="acme", name="agent-a"),
    Act("escalate", "clusterroles", "rbac.authorization.k8s.io"),
    Act("bind", "clusterroles", "rbac.authorization.k8s.io"),
    Act("create", "rolebindings", "rbac.authorization.k8s.io", "acme"),
    Act("impersonate", "users"),
    Act("delete", "customresourcedefinitions", "apiextensions.k8s.io"),
    Act("patch", "validatingwebhookconfigurations", "admissionregistration.k8s.io", name="other"),
    Act("delete", "validatingadmissionpolicies", "admissionregistration.k8s.io", name="cadre-agent-accounts"),
    Act("create", "tenants", GROUP),
)


@pytest.fixture(params=["default", "namespaces"])
def scope(request: pytest.FixtureRequest, helm: Helm, kube_server: KubeServer) -> Iterator[str]:
    """A server with the roles of one scope; they are gone afterwards."""
    client = kube_server.client()
    mode = str(request.param)
    for name in (NAMESPACE, "acme", "acme-eu"):
        client.post("/api/v1/namespaces", {"metadata": {"name": name}})
    objects = [obj for obj in helm.render(mode) if obj["kind"] in _RBAC]
    for obj in objects:
        reply = apply(client, obj)
        assert reply.status in (200, 201), reply.message
    user = f"system:serviceaccount:{NAMESPACE}:cadre-operator"
    settled = Act("create", "subjectaccessreviews", "authorization.k8s.io")
    wait_until("the roles to hold", lambda: may(client, user, settled))
    wait_until("the roles to hold", lambda: may(client, user, Act("list", "agents", GROUP, "acme")))
    yield mode
    for obj in objects:
        client.delete(path_of(obj))
    acts = (settled, *operator_acts("acme"), *keeper_acts())
    wait_until("the roles to be gone", lambda: not any(may(client, user, act) for act in acts))


def assert_may(client: KubeClient, user: str, act: Act) -> None:
    """The API server learns of roles and of bindings by watches of their own."""
    wait_until(f"{user} to be allowed {act}", lambda: may(client, user, act))


def test_the_programs_may_what_they_do_and_no_more(scope: str, kube_server: KubeServer) -> None:
    client = kube_server.client()
    operator, controller = (
        f"system:serviceaccount:{NAMESPACE}:cadre-{n}" for n in ("operator", "controller")
    )
    for act in (*operator_acts("acme"), *keeper_acts()):
        assert_may(client, operator, act)
    review = Act("create", "tokenreviews", "authentication.k8s.io")
    reads = [
        Act("get", "pods", "", "acme"),
        Act("get", "statefulsets", "apps", "acme"),
        Act("get", "agents", GROUP, "acme"),
    ]
    for act in (review, *reads):
        assert_may(client, controller, act)
    for act in FORBIDDEN_TO_ALL:
        assert not may(client, operator, act), act
        assert not may(client, controller, act), act
    for act in operator_acts("acme"):
        assert act.verb == "get" or not may(client, controller, act), act


def test_one_scope_reaches_everywhere_and_the_other_only_where_it_serves(
    scope: str, kube_server: KubeServer
) -> None:
    client = kube_server.client()
    user = f"system:serviceaccount:{NAMESPACE}:cadre-operator"
    elsewhere = [may(client, user, act) for act in operator_acts("somewhere-else")]
    assert set(elsewhere) == {scope == "default"}
    assert may(client, user, Act("list", "customresourcedefinitions", "apiextensions.k8s.io")) == (
        scope == "default"
    )


def test_people_get_objects_of_cadre_and_nothing_else(scope: str, kube_server: KubeServer) -> None:
    client = kube_server.client()
    bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/acme/rolebindings"
    for role in ("cadre-view", "cadre-lead", "cadre-admin"):
        subject = {"kind": "User", "name": role, "apiGroup": "rbac.authorization.k8s.io"}
        reference = {"kind": "ClusterRole", "name": role, "apiGroup": "rbac.authorization.k8s.io"}
        body = {"metadata": {"name": f"as-{role}"}, "subjects": [subject], "roleRef": reference}
        client.post(bindings, body)
    allowed = {
        "cadre-view": {Act("list", "agents", GROUP, "acme")},
        "cadre-lead": {Act("create", "agents", GROUP, "acme"), Act("patch", "agents/scale", GROUP, "acme")},
        "cadre-admin": {Act("create", "modelproviders", GROUP, "acme")},
    }
    for role, acts in allowed.items():
        for act in acts:
            assert_may(client, role, act)
        for act in FORBIDDEN_TO_ALL:
            assert not may(client, role, act), (role, act)
        assert not may(client, role, Act("patch", "agents/status", GROUP, "acme"))
        assert not may(client, role, Act("create", "agents", GROUP, "somewhere-else"))
    for plural in ("modelproviders", "toolservers", "persons"):
        assert not may(client, "cadre-lead", Act("create", plural, GROUP, "acme"))
    assert not may(client, "cadre-view", Act("create", "agents", GROUP, "acme"))


def test_staff_reach_the_controller_and_no_other_pod(helm: Helm, kube_server: KubeServer) -> None:
    client, staff = kube_server.client(), kube_server.client()
    staff._headers = {**staff._headers, "Impersonate-User": "someone", "Impersonate-Group": "staff"}
    client.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    objects = [obj for obj in helm.render("everything") if obj["metadata"]["name"] == "cadre-connect"]
    assert [obj["kind"] for obj in objects] == [
        "Role",
        "RoleBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ]
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    for name in ("cadre-controller-x", "cadre-postgres-0"):
        spec = {"containers": [{"name": "c", "image": "x"}]}
        client.post(pods, {"metadata": {"name": name}, "spec": spec})
    for obj in objects:
        assert apply(client, obj).status in (200, 201)

    def forward(who: KubeClient, name: str, answer: str) -> bool:
        way = f"{pods}/{name}/portforward"
        # by GET as WebSockets begin, by POST as SPDY does
        return all(answer in reply.message for reply in (who.get(way), who.post(way, {})))

    refusal = "the controller's pods only"
    wait_until("the policy to hold", lambda: forward(staff, "cadre-postgres-0", refusal))
    # no kubelet runs here: whoever gets past the API server hears that the pod has no node
    for who, name in ((staff, "cadre-controller-x"), (client, "cadre-postgres-0")):
        assert forward(who, name, "does not have a host assigned")
    for obj in objects:
        client.delete(path_of(obj))


def test_roles_name_no_wildcard(helm: Helm) -> None:
    for mode in ("default", "namespaces"):
        for obj in helm.render(mode):
            for rule in obj.get("rules") or []:
                if obj["kind"] in ("Role", "ClusterRole"):
                    assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"], obj["metadata"]
