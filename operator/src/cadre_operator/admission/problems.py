"""What a write would break, found without compiling thousands of agents for each request.

Agents that are alike in everything that can be wrong stand for each other, and quotas, which need the number,
are counted apart.
"""

from collections.abc import Iterable, Mapping

from cadre_api.v1alpha1 import Agent, OrgNode, Resource
from cadre_core.compile import compile_chart
from cadre_core.compile.draft import reference_key
from cadre_core.model import Problem
from cadre_core.resources import Resources
from cadre_operator.chart.evaluate import Models, key_of
from cadre_operator.keys import Key


def new_problems(
    models: Models, known: Iterable[Problem], old: Resource | None, new: Resource | None
) -> tuple[Problem, ...]:
    """Return the problems that replacing `old` by `new` would bring into a chart, besides the known ones."""
    changed = {**models}
    for model in (old, new):
        if model is not None:
            changed.pop(key_of(model), None)
    if new is not None:
        changed[key_of(new)] = new
    keep = {key_of(m) for m in (old, new) if m is not None}
    before = {(p.resource, p.field, p.reason) for p in known}
    found = (*_problems(_representatives(changed, keep)), *_quotas(changed))
    return tuple(p for p in found if (p.resource, p.field, p.reason) not in before)


def _problems(models: Models) -> tuple[Problem, ...]:
    return compile_chart(Resources.of_models(models.values())).problems if models else ()


def _representatives(models: Models, keep: set[Key]) -> dict[Key, Resource]:
    """Return everything but agents, and of agents that are alike one, besides those that others name."""
    named = _named(models)
    kept: dict[Key, Resource] = {}
    seen: set[object] = set()
    for key, model in sorted(models.items()):
        if not isinstance(model, Agent) or key in keep or key.path in named:
            kept[key] = model
            continue
        alike = _kind_of_agent(model)
        if alike not in seen:
            seen.add(alike)
            kept[key] = model
    return kept


def _kind_of_agent(agent: Agent) -> object:
    spec = agent.spec
    parts = (spec.node_ref, spec.profile_ref, spec.owner_ref, spec.narrow, spec.runtime)
    return (agent.metadata.namespace, repr(parts))


def _named(models: Models) -> set[str]:
    """Return the keys of agents that other objects refer to."""
    found: set[str] = set()
    for model in models.values():
        if not isinstance(model, Agent):
            _collect(model.model_dump(by_alias=True, exclude_none=True), model.metadata.namespace, found)
    return found


def _collect(value: object, namespace: str, found: set[str]) -> None:
    if isinstance(value, Mapping):
        reference = value.get("agentRef")
        if isinstance(reference, Mapping):
            found.add(f"{reference.get('namespace') or namespace}/{reference.get('name')}")
        for item in value.values():
            _collect(item, namespace, found)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect(item, namespace, found)


def _quotas(models: Models) -> Iterable[Problem]:
    nodes = {key.path: m for key, m in models.items() if isinstance(m, OrgNode)}
    counts: dict[str, int] = {}
    for model in models.values():
        if isinstance(model, Agent):
            for step in _upwards(nodes, reference_key(model, model.spec.node_ref)):
                counts[step] = counts.get(step, 0) + 1
    for path, node in sorted(nodes.items()):
        limit = node.spec.agents.max if node.spec.agents else None
        if limit is not None and counts.get(path, 0) > limit:
            message = f"{counts[path]} agents in this subtree, at most {limit} are allowed"
            fix = "remove agents or raise max"
            yield Problem(f"OrgNode {path}", "spec.agents.max", "QuotaExceeded", message, fix)


def _upwards(nodes: Mapping[str, OrgNode], start: str) -> Iterable[str]:
    seen: set[str] = set()
    current = start
    while current in nodes and current not in seen:
        seen.add(current)
        yield current
        parent = nodes[current].spec.parent_ref
        if parent is None:
            return
        current = reference_key(nodes[current], parent)
