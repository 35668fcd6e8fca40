"""Which namespaces form a tenant: the one with the root, and those that its nodes invite.

A namespace with a root of its own is its own tenant, whoever invites it; and nobody joins a tenant by
referring to it, else anyone could break a stranger's chart.
"""

from collections.abc import Iterable, Mapping

from cadre_api.v1alpha1 import OrgNode, Resource


def tenants(models: Iterable[Resource]) -> dict[str, str]:
    """Return namespace -> namespace of its tenant's root; one without root and host is on its own."""
    nodes = [model for model in models if isinstance(model, OrgNode)]
    roots = {node.metadata.namespace for node in nodes if node.spec.parent_ref is None}
    hosts = _hosts(nodes, roots)
    namespaces = {node.metadata.namespace for node in nodes} | hosts.keys()
    return {name: name if name in roots else hosts.get(name, name) for name in namespaces}


def _hosts(nodes: Iterable[OrgNode], roots: set[str]) -> dict[str, str]:
    """Guest -> host; the first in the alphabet when several invite the same namespace."""
    invited: dict[str, str] = {}
    for node in sorted(nodes, key=lambda n: (n.metadata.namespace, n.metadata.name)):
        host = node.metadata.namespace
        if host not in roots:
            continue
        for grant in node.spec.grants:
            for guest in grant.namespaces:
                if guest not in roots:
                    invited.setdefault(guest, host)
    return invited


def members(tenancy: Mapping[str, str], tenant: str) -> tuple[str, ...]:
    """Return the namespaces of a tenant, its own included."""
    return tuple(sorted({tenant, *(name for name, owner in tenancy.items() if owner == tenant)}))
