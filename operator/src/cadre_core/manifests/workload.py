"""One agent's objects: identity, sealed network, pod; nothing else can reach in or out."""

from collections.abc import Iterable

from cadre_api.units import parse_duration
from cadre_api.v1alpha1 import Agent, Analyzer, Scaling
from cadre_core.bundle import context_window
from cadre_core.goose_settings import goose_config_yaml
from cadre_core.manifests.containers import agent_container, guard_container
from cadre_core.manifests.settings import GUARD_PORT, UID, ClusterSettings, Json, labels, metadata
from cadre_core.model import EffectiveAgent, Snapshot

_TOKEN_SECONDS = 3600
_GRACE_MARGIN_SECONDS = 60


def agent_manifests(snapshot: Snapshot, agent: Agent, settings: ClusterSettings) -> tuple[Json, ...]:
    """Return the agent's objects, the workload to be applied last; KeyError when not in the chart.

    `spec.replicas` is left out: it is written through /scale only.
    """
    namespace, name = agent.metadata.namespace, agent.metadata.name
    effective = snapshot.agents[f"{namespace}/{name}"]
    objects = [
        _service_account(effective, namespace, name),
        _network_policy(effective, agent, settings),
        _config_map(effective, namespace, name),
        _service(effective, namespace, name),
        _stateful_set(snapshot, effective, agent, settings),
    ]
    if _most_replicas(agent) > 1:
        objects.append(_disruption_budget(effective, namespace, name))
    return tuple(objects)


def _most_replicas(agent: Agent) -> int:
    scaling = agent.spec.scaling or Scaling()
    return scaling.max if agent.spec.replicas is None else agent.spec.replicas


def _object(api_version: str, kind: str, agent: EffectiveAgent, namespace: str, name: str) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata(namespace, agent.tenant, name)}


def _service_account(agent: EffectiveAgent, namespace: str, name: str) -> Json:
    base = _object("v1", "ServiceAccount", agent, namespace, name)
    return {**base, "automountServiceAccountToken": False}


def _network_policy(effective: EffectiveAgent, agent: Agent, settings: ClusterSettings) -> Json:
    namespace, name = agent.metadata.namespace, agent.metadata.name
    egress = [_egress(settings, settings.controller_labels, settings.controller_port)]
    if _by_node(agent):
        egress.append(_egress(settings, settings.analyzer_labels, settings.analyzer_port))
    spec: Json = {
        "podSelector": {"matchLabels": labels(effective.tenant, name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
        "egress": egress,
    }
    return {**_object("networking.k8s.io/v1", "NetworkPolicy", effective, namespace, name), "spec": spec}


def _egress(settings: ClusterSettings, pods: Iterable[tuple[str, str]], port: int) -> Json:
    peer: Json = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": settings.controller_namespace}},
        "podSelector": {"matchLabels": dict(pods)},
    }
    return {"to": [peer], "ports": [{"protocol": "TCP", "port": port}]}


def _by_node(agent: Agent) -> bool:
    """Whether its guard's texts are read by the analyzer of the machine."""
    return agent.spec.analyzer is Analyzer.NODE


def _host_aliases(agent: Agent, settings: ClusterSettings) -> list[Json]:
    aliases: list[Json] = [{"ip": settings.controller_ip, "hostnames": [settings.controller_host]}]
    if _by_node(agent):
        aliases.append({"ip": settings.analyzer_ip, "hostnames": [settings.analyzer_host]})
    return aliases


def _config_map(agent: EffectiveAgent, namespace: str, name: str) -> Json:
    config = goose_config_yaml(frozenset(agent.goose_extensions))
    return {**_object("v1", "ConfigMap", agent, namespace, name), "data": {"config.yaml": config}}


def _service(agent: EffectiveAgent, namespace: str, name: str) -> Json:
    spec: Json = {
        "clusterIP": "None",
        "selector": labels(agent.tenant, name),
        "ports": [{"name": "guard", "port": GUARD_PORT}],
        "publishNotReadyAddresses": False,
    }
    return {**_object("v1", "Service", agent, namespace, name), "spec": spec}


def _stateful_set(
    snapshot: Snapshot, effective: EffectiveAgent, agent: Agent, settings: ClusterSettings
) -> Json:
    namespace, name = agent.metadata.namespace, agent.metadata.name
    volume = agent.spec.state.volume if agent.spec.state else None
    spec: Json = {
        "serviceName": f"agent-{name}",
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "OnDelete"},
        "selector": {"matchLabels": labels(effective.tenant, name)},
        "template": {
            "metadata": {"labels": labels(effective.tenant, name)},
            "spec": _pod(snapshot, effective, agent, settings),
        },
    }
    if volume is not None:
        claim: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": volume.size}}}
        claim |= {"storageClassName": volume.storage_class_name} if volume.storage_class_name else {}
        spec["volumeClaimTemplates"] = [{"metadata": {"name": "home"}, "spec": claim}]
    return {**_object("apps/v1", "StatefulSet", effective, namespace, name), "spec": spec}


def _pod(snapshot: Snapshot, effective: EffectiveAgent, agent: Agent, settings: ClusterSettings) -> Json:
    drain = parse_duration((agent.spec.scaling or Scaling()).drain_timeout).total_seconds()
    window = context_window(effective, snapshot.providers)
    return {
        "serviceAccountName": f"agent-{agent.metadata.name}",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["127.0.0.1"]},
        "hostAliases": _host_aliases(agent, settings),
        "terminationGracePeriodSeconds": int(drain) + _GRACE_MARGIN_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "fsGroup": UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [guard_container(effective, agent.spec, settings)],
        "containers": [agent_container(agent.spec, window, settings)],
        "volumes": _volumes(agent, settings),
    }


def _volumes(agent: Agent, settings: ClusterSettings) -> list[Json]:
    token: Json = {
        "serviceAccountToken": {
            "audience": "cadre-controller",
            "expirationSeconds": _TOKEN_SECONDS,
            "path": "token",
        }
    }
    volumes: list[Json] = [
        {"name": "identity", "projected": {"sources": [token]}},
        {"name": "ca", "configMap": {"name": settings.ca_config_map}},
        {"name": "config", "configMap": {"name": f"agent-{agent.metadata.name}"}},
        {"name": "shared", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "shim", "emptyDir": {"sizeLimit": "8Mi"}},
        {"name": "guard-state", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "guard-tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
        {"name": "agent-tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
    ]
    if agent.spec.state is None or agent.spec.state.volume is None:
        volumes.append({"name": "home", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}})
    return volumes


def _disruption_budget(agent: EffectiveAgent, namespace: str, name: str) -> Json:
    spec: Json = {"maxUnavailable": 1, "selector": {"matchLabels": labels(agent.tenant, name)}}
    return {**_object("policy/v1", "PodDisruptionBudget", agent, namespace, name), "spec": spec}
