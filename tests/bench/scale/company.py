"""A company of any size whose agents all have one role, so that one edit concerns them all."""

from collections.abc import Iterator, Sequence

from cadre_api.parse import parse_resource
from cadre_api.v1alpha1 import API_VERSION, Agent
from cadre_core.compile import compile_chart
from cadre_core.manifests import agent_manifests
from cadre_core.manifests.settings import ClusterSettings
from cadre_core.resources import Resources
from cadre_operator.agents.children import prepare
from cadre_operator.kube.fields import Json, mapping
from cadre_operator.watch.entries import entry_of
from tests.integration.operator.running import IMAGE

UNITS = 10
MODELS = ("small", "large")
"""Of the role: before and after the edit; their windows differ, and with them every agent's workload."""
_CLUSTER = ClusterSettings(IMAGE, IMAGE, "cadre-guard.cadre-system.svc", "10.96.0.20")


def framework(namespace: str) -> list[Json]:
    """Everything but agents."""
    person: Json = {"identity": {"issuer": "https://idp.test", "subject": "ada"}, "displayName": "Ada"}
    root: Json = {
        "type": "Organization",
        "title": "Town",
        "members": [{"personRef": {"name": "ada"}, "roles": ["Head", "AgentRequester"]}],
        "agents": {"consent": "Never"},
    }
    provider: Json = {
        "ollama": {"baseURL": "http://127.0.0.1:11434"},
        "models": [{"name": name, "contextWindow": 32768 * (i + 1)} for i, name in enumerate(MODELS)],
    }
    found = [
        _object("Person", namespace, "ada", person),
        _object("OrgNode", namespace, "town", root),
        _object("ModelProvider", namespace, "local", provider),
        profile(namespace, MODELS[0]),
    ]
    unit: Json = {"type": "Department", "title": "Unit", "parentRef": {"name": "town"}}
    return found + [_object("OrgNode", namespace, f"unit-{n}", unit) for n in range(UNITS)]


def profile(namespace: str, model: str) -> Json:
    """The role of all agents, working with one model."""
    spec: Json = {
        "title": "Clerk",
        "instructions": "You help with letters and lists. Answer briefly.",
        "models": {"work": [{"providerRef": {"name": "local"}, "model": model}]},
        "guard": {"mode": "Mask", "clearance": ["INTERNAL", "PII"]},
    }
    return _object("RoleProfile", namespace, "clerk", spec)


def agents(namespace: str, numbers: Sequence[int]) -> list[Json]:
    """Agents, spread over the units."""
    return [_agent(namespace, number) for number in numbers]


def _agent(namespace: str, number: int) -> Json:
    spec: Json = {
        "nodeRef": {"name": f"unit-{number % UNITS}"},
        "ownerRef": {"name": "ada"},
        "profileRef": {"name": "clerk"},
        "purpose": "Letters and lists for everybody.",
        "scaling": {"min": 1, "max": 2},
    }
    return _object("Agent", namespace, f"clerk-{number}", spec)


def _object(kind: str, namespace: str, name: str, spec: Json) -> Json:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def children(namespace: str, bodies: Sequence[Json], model: str) -> Iterator[tuple[Json, ...]]:
    """What the operator makes of agents, made by the same functions."""
    written = [*framework(namespace), *bodies]
    written = [profile(namespace, model) if obj["kind"] == "RoleProfile" else obj for obj in written]
    snapshot = compile_chart(Resources.of_models(map(parse_resource, written))).snapshot
    assert snapshot is not None
    for body in bodies:
        metadata = mapping(body, "metadata")
        entry = entry_of({**body, "metadata": {**metadata, "uid": f"0000-{metadata['name']}"}})
        assert isinstance(entry.model, Agent)
        objects = prepare(agent_manifests(snapshot, entry.model, _CLUSTER), entry)
        yield tuple(_scaled(obj) for obj in objects)


def _scaled(obj: Json) -> Json:
    spec: Json = {**mapping(obj, "spec"), "replicas": 1}
    return {**obj, "spec": spec} if obj["kind"] == "StatefulSet" else obj
