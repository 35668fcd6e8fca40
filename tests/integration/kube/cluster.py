"""Cadre's objects on a real API server: paths, CRDs, and dry runs that leave nothing behind."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from cadre_api.v1alpha1 import API_VERSION, KINDS
from tests.support.api_objects import Object
from tests.support.kube import KubeClient, Reply, wait_until

REPOSITORY = Path(__file__).resolve().parents[3]
CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True)
class Cluster:
    """Requests about Cadre's objects."""

    client: KubeClient

    def create(self, obj: Object, *, dry_run: bool = False) -> Reply:
        """Create an object; with `dry_run` everything but the storing happens."""
        query = "?dryRun=All" if dry_run else ""
        return self.client.post(collection(obj) + query, obj)


def collection(obj: Object) -> str:
    """Path of the list that the object belongs to."""
    namespace = obj["metadata"].get("namespace", "default")
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{KINDS[obj['kind']].crd.plural}"


def path_of(obj: Object) -> str:
    """Path of the object itself."""
    return f"{collection(obj)}/{obj['metadata']['name']}"


def install_crds(client: KubeClient) -> None:
    """Create the committed CRDs and wait until the server serves them all, and says so."""
    for file in sorted((REPOSITORY / "crds").glob("*.yaml")):
        reply = client.post(CRD_PATH, yaml.safe_load(file.read_text()))
        assert reply.status == 201, f"{file.name}: {reply.message}"
    paths = [f"/apis/{API_VERSION}/{kind.crd.plural}" for kind in KINDS.values()]
    wait_until("all kinds to be served", lambda: all(client.get(path).status == 200 for path in paths))
    plurals = {kind.crd.plural for kind in KINDS.values()}

    def told() -> bool:
        found = client.get(f"/apis/{API_VERSION}").body.get("resources", [])
        return plurals <= {resource["name"] for resource in found}

    wait_until("all kinds to be found", told)
