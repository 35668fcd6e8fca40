"""The real operator with no more than the chart's role: it works, and no request of its is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cadre_api.v1alpha1 import API_VERSION, KINDS
from cadre_operator.kube.fields import items, mapping
from tests.integration.chart.rendering import NAMESPACE, REPOSITORY, Helm, Object
from tests.integration.chart.server import FOREIGN, apply, path_of
from tests.integration.chart.test_health import health
from tests.integration.chart.test_health import lua as lua
from tests.integration.kube.cluster import collection, install_crds
from tests.integration.operator.running import Operator, operator
from tests.support.kube import KubeClient, KubeServer, running_kube, wait_until

pytestmark = pytest.mark.kube
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_LEFT_OUT = (*FOREIGN, "CustomResourceDefinition", "ValidatingAdmissionPolicyBinding", "Job", "Pod")
"""The policies name the account, which is a user here."""
_USER = "lead"


@pytest.fixture(scope="module")
def installed(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeServer]:
    """A server of its own with the company of the first example, and the release applied around it."""
    with running_kube(tmp_path_factory.mktemp("kube")) as server:
        client = server.client()
        install_crds(client)
        for name in (NAMESPACE, "acme"):
            client.post("/api/v1/namespaces", {"metadata": {"name": name}})
        for file in sorted((REPOSITORY / "examples" / "01-acme").glob("*.yaml")):
            for obj in (o for o in yaml.safe_load_all(file.read_text()) if o and "metadata" in o):
                placed = {**obj, "metadata": {**obj["metadata"], "namespace": "acme"}}
                reply = client.post(collection(placed), placed)
                assert reply.status == 201, reply.message
        for obj in helm.render("default"):
            if obj["kind"] not in _LEFT_OUT:
                reply = apply(client, obj)
                assert reply.status in (200, 201), f"{obj['kind']} {obj['metadata']['name']}: {reply.message}"
        _bind(client)
        yield server


def _bind(client: KubeClient) -> None:
    """Give the roles of the operator's account to a user whose token we have."""
    subjects = [{"kind": "User", "name": _USER, "apiGroup": "rbac.authorization.k8s.io"}]
    group = "rbac.authorization.k8s.io"
    for kind, path in (
        ("ClusterRole", f"{_RBAC}/clusterrolebindings"),
        ("Role", f"{_RBAC}/namespaces/{NAMESPACE}/rolebindings"),
    ):
        reference = {"kind": kind, "name": "cadre-operator", "apiGroup": group}
        reply = client.post(path, {"metadata": {"name": "t"}, "subjects": subjects, "roleRef": reference})
        assert reply.status == 201, reply.message


@pytest.fixture(scope="module")
def running(installed: KubeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The operator, ready."""
    folder = tmp_path_factory.mktemp("operator")
    kubeconfig = installed.write_kubeconfig(Path(folder) / "kubeconfig", _USER)
    with operator(folder, kubeconfig, CADRE_WEBHOOK_URL="") as replica:
        replica.start()
        replica.wait_ready()
        wait_until("it leads", lambda: replica.metric("cadre_leader") == 1, 60)
        yield replica


def _get(server: KubeServer, path: str) -> Object:
    reply = server.client().get(path)
    assert reply.status == 200, reply.message
    return reply.body


def test_it_fills_what_the_chart_made_empty(installed: KubeServer, running: Operator, helm: Helm) -> None:
    lease = _get(installed, path_of(helm.find("default", "Lease", "cadre-operator")))
    assert lease["spec"]["holderIdentity"] == "one"
    wanted_by_pods = {
        "cadre-operator-webhook": {"ca.crt", "tls.crt", "tls.key"},
        "cadre-ca": {"ca.crt"},
        "cadre-controller-tls": {"ca.crt", "tls.crt", "tls.key"},
        "cadre-postgres-tls": {"ca.crt", "tls.crt", "tls.key"},
        "cadre-login-key": {"key"},
    }
    for name, keys in wanted_by_pods.items():
        secret = _get(installed, path_of(helm.find("default", "Secret", name)))
        assert keys <= secret["data"].keys(), name
    people = _get(installed, f"/api/v1/namespaces/{NAMESPACE}/configmaps/cadre-ca")
    assert people["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        rendered = helm.find("default", kind, "cadre-operator")
        hooks = items(_get(installed, path_of(rendered)), "webhooks")
        assert [hook["name"] for hook in hooks] == [hook["name"] for hook in rendered["webhooks"]]
        for hook, wanted in zip(hooks, rendered["webhooks"], strict=True):
            assert mapping(hook, "clientConfig")["caBundle"]
            assert mapping(hook, "clientConfig", "service") == wanted["clientConfig"]["service"]
            assert hook["rules"] == wanted["rules"]


def test_it_makes_agents_and_is_refused_nothing(installed: KubeServer, running: Operator) -> None:
    path = "/apis/apps/v1/namespaces/acme/statefulsets"
    wait_until("the agents' workloads", lambda: len(_get(installed, path)["items"]) >= 3, 60)
    statuses = "/apis/cadre.dev/v1alpha1/namespaces/acme/agents"
    wait_until("statuses", lambda: all("status" in a for a in _get(installed, statuses)["items"]), 60)
    text = running.get("/metrics")[1]
    refused = [line for line in text.splitlines() if 'status="403"' in line]
    assert not refused, refused
    assert not [line for line in running.logs() if "orbidden" in str(line)]


def test_argo_reads_the_states_that_the_operator_writes(
    installed: KubeServer, running: Operator, lua: Path
) -> None:
    """No kubelet runs here: agents are on their way or suspended, and everything else is healthy."""

    def states() -> set[tuple[str, str]]:
        found = set()
        for name, kind in KINDS.items():
            company = _get(installed, f"/apis/{API_VERSION}/namespaces/acme/{kind.crd.plural}")["items"]
            objects = [{"kind": name, **obj} for obj in company]
            found |= {(name, one["status"]) for one in health(lua, objects)}
        return found

    agents = {("Agent", "Progressing"), ("Agent", "Suspended")}
    others = {(name, "Healthy") for name in KINDS if name not in ("Agent", "Workflow")}
    try:
        wait_until("states as Argo should show them", lambda: agents | others <= states(), 60)
    finally:
        print(states())
    assert states() <= agents | others | {("Workflow", "Healthy")}
