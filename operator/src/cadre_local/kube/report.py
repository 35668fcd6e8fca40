"""A cluster's status as data: the chart from the API server, what is going on from the controller."""

from collections.abc import Mapping

from cadre_api.protocol.base import type_json
from cadre_api.protocol.tasks import ApprovalState
from cadre_local.client.api import CadreApi
from cadre_local.client.usage import tokens_today
from cadre_local.errors import CadreError
from cadre_local.kube.client import KubeRefusedError
from cadre_local.kube.target import ClusterTarget
from cadre_local.objects import condition, dig, key_of, trouble


def build(cluster: ClusterTarget) -> type_json:
    """Everything about the chart in a cluster; the controller's part is left out when it is silent."""
    nodes, everywhere = visible(cluster, "OrgNode")
    agents, _ = visible(cluster, "Agent")
    api, why_not = _try_api(cluster)
    live = {str(row.get("key")): row for row in api.agents()} if api else {}
    tokens = tokens_today(api) if api else {}
    return {
        "cluster": cluster.connection.server,
        "context": cluster.connection.context,
        "scope": "all namespaces" if everywhere else f"namespace {cluster.connection.namespace}",
        "controller": "answers" if api else f"does not answer: {why_not}",
        "person": api.person if api else "",
        "behind": [key_of(item) for item in (*nodes, *agents) if _behind(item)],
        "waitingApprovals": len(api.approvals(ApprovalState.PENDING.value)) if api else 0,
        "waitingConsents": sum(awaits_consent(item) for item in (*nodes, *agents)),
        "nodes": [_node(item) for item in nodes],
        "agents": [_agent(item, live.get(key_of(item), {}), tokens) for item in agents],
    }


def visible(cluster: ClusterTarget, kind: str) -> tuple[list[type_json], bool]:
    """Objects of a kind that the user may see, and whether in all namespaces."""
    try:
        return cluster.kube.resources(kind), True
    except KubeRefusedError as error:
        if error.status != 403:
            raise
        return cluster.kube.resources(kind, cluster.connection.namespace), False


def awaits_consent(document: type_json) -> bool:
    """Whether somebody has to agree before the object counts as written."""
    waits = condition(document, "AwaitingApproval").get("status") == "True"
    return waits or bool(dig(document, "metadata", "annotations", "cadre.dev/held"))


def _behind(document: type_json) -> bool:
    """Whether the controller does not have its latest version yet."""
    return condition(document, "ControllerSynced").get("status") == "False"


def _try_api(cluster: ClusterTarget) -> tuple[CadreApi | None, str]:
    try:
        api = cluster.api()
        api.agents()
    except CadreError as error:
        return None, f"{error.reason}: {error.message}"
    return api, ""


def _node(document: type_json) -> type_json:
    parent, namespace = dig(document, "spec", "parentRef", "name"), dig(document, "metadata", "namespace")
    place = dig(document, "spec", "parentRef", "namespace") or namespace
    return {
        "key": key_of(document),
        "type": dig(document, "spec", "type"),
        "title": dig(document, "spec", "title"),
        "parent": f"{place}/{parent}" if parent else "",
        "reason": trouble(document),
    }


def _agent(document: type_json, row: type_json, tokens: Mapping[str, int]) -> type_json:
    known = row.get("live")
    live: type_json = dict(known) if isinstance(known, dict) else {}
    node, namespace = dig(document, "spec", "nodeRef", "name"), dig(document, "metadata", "namespace")
    place = dig(document, "spec", "nodeRef", "namespace") or namespace
    phase = dig(document, "status", "phase")
    return {
        "key": key_of(document),
        "node": f"{place}/{node}",
        "profile": dig(document, "status", "profile") or dig(document, "spec", "profileRef", "name"),
        "phase": str(live.get("state") or phase) if phase in {"Idle", "Busy"} else phase or "Pending",
        "ready": condition(document, "Ready").get("status", "Unknown"),
        "tasks": {"running": live.get("running", 0), "queued": row.get("queued", 0)},
        "tokens": tokens.get(key_of(document), 0),
        "boundary": live.get("boundary", {}),
        "reason": trouble(document),
    }
