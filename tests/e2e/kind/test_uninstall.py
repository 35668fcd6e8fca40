"""The last test: the release leaves, and what `keep` names stays. It is named to come after all others."""

import pytest

from tests.e2e.cluster import acme
from tests.e2e.cluster.kubectl import wait_for
from tests.e2e.cluster.people import People
from tests.e2e.cluster.release import NAMESPACE, Release
from tests.e2e.kind.conftest import Lab

pytestmark = pytest.mark.timeout(1800)

_KINDS = (
    "deployments,statefulsets,services,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies,"
    "poddisruptionbudgets,cronjobs,jobs,leases,persistentvolumeclaims"
)
_CLUSTER_KINDS = (
    "clusterroles,clusterrolebindings,validatingwebhookconfigurations,mutatingwebhookconfigurations,"
    "validatingadmissionpolicies,validatingadmissionpolicybindings,flowschemas,prioritylevelconfigurations"
)
_KEPT = {
    "Secret/cadre-keystore",
    "Secret/cadre-postgres",
    "PersistentVolumeClaim/cadre-backup",
    "PersistentVolumeClaim/data-cadre-postgres-0",
}


def test_the_release_leaves_what_keep_says(lab: Lab, company: People, release: Release) -> None:
    """The kinds with all objects, the keys and the data's volumes stay."""
    kubectl = lab.kubectl
    release.uninstall()
    wait_for("the pods are gone", lambda: not kubectl.get("pods", "-n", NAMESPACE)["items"], 180)
    left = {_named(item) for item in kubectl.get(_KINDS, "-n", NAMESPACE)["items"]}
    assert {name for name in left if "cadre" in name} == _KEPT
    cluster = kubectl.get(_CLUSTER_KINDS)["items"]
    assert [_named(item) for item in cluster if item["metadata"]["name"].startswith("cadre")] == []
    assert len(kubectl.get("agents.cadre.dev", "-n", acme.NAMESPACE)["items"]) == acme.AGENTS


def _named(item: dict[str, object]) -> str:
    metadata = item["metadata"]
    assert isinstance(metadata, dict)
    return f"{item['kind']}/{metadata['name']}"
