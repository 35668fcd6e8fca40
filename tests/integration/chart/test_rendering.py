"""What the chart renders, in every mode, is what a real API server takes, and is safe by its defaults."""

import pytest

from tests.integration.chart.rendering import (
    CHART,
    MODES,
    NAMESPACE,
    VERSION,
    WORKLOADS,
    Helm,
    Object,
    pod_spec,
)
from tests.integration.chart.server import FOREIGN, apply
from tests.support.kube import KubeServer

pytestmark = pytest.mark.kube
_modes = pytest.mark.parametrize("mode", MODES)


def test_helm_has_nothing_to_complain_about(helm: Helm) -> None:
    done = helm.run("lint", "--strict", str(CHART), f"--kube-version={VERSION}")
    assert done.returncode == 0, done.stdout


def test_an_old_cluster_is_refused_by_name(helm: Helm) -> None:
    done = helm.run("template", "cadre", str(CHART), "--kube-version=1.29.9")
    assert done.returncode != 0
    assert "1.30" in done.stderr


@_modes
def test_the_api_server_takes_every_object(helm: Helm, kube_server: KubeServer, mode: str) -> None:
    client = kube_server.client()
    for name in (NAMESPACE, "acme", "acme-eu"):
        client.post("/api/v1/namespaces", {"metadata": {"name": name}})
    for obj in helm.render(mode):
        if obj["kind"] not in FOREIGN:
            reply = apply(client, obj, dry_run=True)
            assert reply.status in (200, 201), f"{obj['kind']} {obj['metadata']['name']}: {reply.message}"


@_modes
def test_every_pod_keeps_the_restricted_standard(helm: Helm, kube_server: KubeServer, mode: str) -> None:
    client = kube_server.client()
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    client.post("/api/v1/namespaces", {"metadata": {"name": "restricted", "labels": label}})
    for obj in helm.render(mode):
        if obj["kind"] in WORKLOADS:
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": obj["metadata"]["name"], "namespace": "restricted"},
                "spec": {"restartPolicy": "Always", **_with_claims(obj)},
            }
            reply = apply(client, pod, dry_run=True)
            assert reply.status in (200, 201), f"{obj['metadata']['name']}: {reply.message}"


def _with_claims(obj: Object) -> Object:
    claims = [
        {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": "claim"}}
        for claim in obj["spec"].get("volumeClaimTemplates", [])
    ]
    return {**pod_spec(obj), "volumes": [*pod_spec(obj)["volumes"], *claims]}


@_modes
def test_pods_write_nowhere_and_say_what_they_need(helm: Helm, mode: str) -> None:
    for obj in helm.render(mode):
        if obj["kind"] in WORKLOADS:
            for container in pod_spec(obj)["containers"]:
                assert container["securityContext"]["readOnlyRootFilesystem"], obj["metadata"]["name"]
                assert container["resources"]["requests"] and container["resources"]["limits"]["memory"]
                named = {mount["name"] for mount in container["volumeMounts"]}
                assert named <= {volume["name"] for volume in _with_claims(obj)["volumes"]}


@_modes
def test_only_operator_and_controller_hold_a_token_of_the_cluster(helm: Helm, mode: str) -> None:
    holders = {
        obj["metadata"]["name"]
        for obj in helm.render(mode)
        if obj["kind"] in WORKLOADS and pod_spec(obj).get("automountServiceAccountToken", True)
    }
    assert holders == {"cadre-operator", "cadre-controller"}


def test_no_claim_waits_for_its_first_user(helm: Helm) -> None:
    """Most storage classes make a volume for its first pod; `helm install --wait` waits for all of them."""
    objects = helm.render("default")
    claims = {obj["metadata"]["name"] for obj in objects if obj["kind"] == "PersistentVolumeClaim"}
    running = [obj for obj in objects if obj["kind"] in ("Deployment", "StatefulSet")]
    volumes = [volume for obj in running for volume in obj["spec"]["template"]["spec"].get("volumes", [])]
    held = {v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v}
    assert claims == held == {"cadre-backup"}
