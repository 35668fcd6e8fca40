"""What Cadre needs in a cluster, and what a person needs to use it; each a small check that names its fix."""

from collections.abc import Callable, Iterator

from cadre_api.protocol.base import type_json
from cadre_local.check import Check
from cadre_local.errors import CadreError
from cadre_local.kube.client import KubeRefusedError
from cadre_local.kube.forward import authority
from cadre_local.kube.target import ClusterTarget
from cadre_local.objects import API_VERSION, KINDS, condition, items_of

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def run_all(cluster: ClusterTarget) -> Iterator[Check]:
    """Every check, in the order in which a command would stumble."""
    yield Check("kubeconfig", "Ok", f"context {cluster.connection.context}, {cluster.connection.server}")
    server = _caught("API server", lambda: _server(cluster))
    yield server
    if server.result == "Fail":
        return
    yield _caught("resource kinds", lambda: _kinds(cluster))
    for name in ("operator", "controller"):
        yield _caught(name, lambda name=name: _pods(cluster, f"cadre-{name}"))  # type: ignore[misc]
    yield _caught("certificates", lambda: _authority(cluster))
    yield _right(cluster, "list", "agents", "cadre.dev", "seeing the chart")
    yield _right(cluster, "create", "agents", "cadre.dev", "signing in")
    if not cluster.server:
        yield _right(cluster, "get", "pods/portforward", "", "reaching the controller", system=True)
    yield _caught("sign-in", lambda: _signed_in(cluster))


def _caught(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, "Ok", check())
    except KubeRefusedError as error:
        if error.status == 403:
            return Check(name, "Warn", "not known: you may not look", "an administrator's doctor says")
        return Check(name, "Fail", f"{error.reason}: {error.message}", error.fix)
    except CadreError as error:
        return Check(name, "Fail", f"{error.reason}: {error.message}", error.fix)


def _server(cluster: ClusterTarget) -> str:
    return f"Kubernetes {cluster.kube.get('/version').get('gitVersion')}"


def _kinds(cluster: ClusterTarget) -> str:
    served = cluster.kube.find(f"/apis/{API_VERSION}") or {}
    found = {str(item.get("kind")) for item in items_of(served, "resources")}
    missing = sorted(set(KINDS.values()) - found)
    if missing:
        raise CadreError(
            "KindsMissing",
            f"{API_VERSION} lacks {', '.join(missing)}",
            "helm upgrade --install cadre charts/cadre, or apply crds/",
        )
    return f"{API_VERSION} with {len(KINDS)} kinds"


def _pods(cluster: ClusterTarget, name: str) -> str:
    namespace = cluster.connection.system_namespace
    pods = cluster.kube.collect(f"/api/v1/namespaces/{namespace}/pods", f"app.kubernetes.io/name={name}")
    ready = sum(_ready(pod) for pod in pods)
    if not ready:
        raise CadreError(
            "NotReady",
            f"{ready} of {len(pods)} pods are ready in {namespace}",
            f"kubectl -n {namespace} get pods; pass --system-namespace when Cadre is elsewhere",
        )
    return f"{ready} of {len(pods)} pods are ready in {namespace}"


def _ready(pod: type_json) -> bool:
    return condition(pod, "Ready").get("status") == "True"


def _authority(cluster: ClusterTarget) -> str:
    authority(cluster.kube)
    return "ConfigMap cadre-ca is there"


def _signed_in(cluster: ClusterTarget) -> str:
    found = cluster.sign_in()
    return f"as {found.person or 'administrator'} of {found.tenant or 'every tenant'}"


def _right(
    cluster: ClusterTarget, verb: str, resource: str, group: str, purpose: str, *, system: bool = False
) -> Check:
    connection = cluster.connection
    namespace = connection.system_namespace if system else connection.namespace
    plural, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "resource": plural, "group": group, "namespace": namespace}
    attributes |= {"subresource": subresource} if subresource else {}
    try:
        answer = cluster.kube.send("POST", _REVIEW, {"spec": {"resourceAttributes": attributes}})
    except CadreError as error:
        return Check(f"may {verb}", "Warn", f"not known: {error.message}", error.fix)
    status = answer.body.get("status")
    text = f"{verb} {resource} in {namespace}, for {purpose}"
    if isinstance(status, dict) and status.get("allowed"):
        return Check("right", "Ok", text)
    fix = "ask an administrator for the roles cadre-lead and cadre-connect"
    return Check("right", "Warn", f"you may not {text}", fix)
