"""Objects of a cluster by the names that people give; who misses hears which there are."""

from cadre_api.protocol.base import type_json
from cadre_local.errors import CadreError
from cadre_local.kube.target import ClusterTarget
from cadre_local.objects import dig


def find_agent(cluster: ClusterTarget, name: str) -> type_json:
    """An Agent by name, or `namespace/name`. Raises CadreError (NotFound) naming those that exist."""
    return find_object(cluster, "Agent", name)


def find_object(cluster: ClusterTarget, kind: str, name: str) -> type_json:
    """An object by name, or `namespace/name`. Raises CadreError (NotFound) naming those that exist."""
    namespace, slash, own = name.rpartition("/")
    place = namespace if slash else cluster.connection.namespace
    found = cluster.kube.resources(kind, place)
    match = next((item for item in found if dig(item, "metadata", "name") == own), None)
    if match is None:
        known = ", ".join(sorted(dig(item, "metadata", "name") for item in found)[:12])
        fix = f"there are: {known}" if known else f"there is none in namespace {place}; pass --namespace"
        raise CadreError("NotFound", f"there is no {kind} {own} in namespace {place}", fix)
    return match
