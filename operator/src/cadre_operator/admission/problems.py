"""What a write would break, found without compiling thousands of agents for each request.

Agents that are alike in everything that can be wrong stand for each other; a change of one agent concerns no
other one at all. Quotas, which need the number, are counted apart.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cadre_api.v1alpha1 import Agent, OrgNode, Resource
from cadre_api.v1alpha1.common import ObjectRef
from cadre_core.compile import compile_chart
from cadre_core.compile.draft import reference_key
from cadre_core.model import Problem
from cadre_core.resources import Resources
from cadre_operator.chart.evaluate import Compiler, Models, key_of
from cadre_operator.keys import Key


@dataclass(slots=True)
class Flawless:
    """Sorts of agents with which a chart was without problems; its other objects are still the same."""

    _others: list[Resource] = field(default_factory=list)
    _named: set[str] = field(default_factory=set)
    _sorts: set[object] = field(default_factory=set)

    def covers(self, agent: Agent, models: Models) -> bool:
        """Whether an agent is of such a sort; one that others name is looked at always.

        Everything is forgotten when anything but agents is another object than before.
        """
        others = [model for model in models.values() if not isinstance(model, Agent)]
        same = len(others) == len(self._others)
        if not same or any(a is not b for a, b in zip(others, self._others, strict=True)):
            self._others, self._named, self._sorts = others, _named(models), set()
        return key_of(agent).path not in self._named and _kind_of_agent(agent) in self._sorts

    def add(self, agent: Agent) -> None:
        """Remember the sort of an agent with which all is well."""
        self._sorts.add(_kind_of_agent(agent))


def new_problems(
    models: Models,
    known: Iterable[Problem],
    old: Resource | None,
    new: Resource | None,
    compiler: Compiler = compile_chart,
    flawless: Flawless | None = None,
) -> tuple[Problem, ...]:
    """Return the problems that replacing `old` by `new` would bring into a chart, besides the known ones.

    `flawless` = what earlier calls with this compiler found; it is asked about new agents alone.
    """
    changed = {**models}
    for model in (old, new):
        if model is not None:
            changed.pop(key_of(model), None)
    if new is not None:
        changed[key_of(new)] = new
    keep = {key_of(m) for m in (old, new) if m is not None}
    before = {(p.resource, p.field, p.reason) for p in known}
    alone = all(key.kind == "Agent" for key in keep)
    lone = new if old is None and isinstance(new, Agent) and flawless is not None else None
    if lone is not None and flawless is not None and flawless.covers(lone, changed):
        found: tuple[Problem, ...] = (*_quotas(changed),)
    else:
        found = (*_problems(compiler, _representatives(changed, keep, alone)), *_quotas(changed))
    fresh = tuple(p for p in found if (p.resource, p.field, p.reason) not in before)
    if lone is not None and flawless is not None and not found:
        flawless.add(lone)
    return fresh


def _problems(compiler: Compiler, models: Models) -> tuple[Problem, ...]:
    return compiler(Resources.of_models(models.values())).problems if models else ()


def _representatives(models: Models, keep: set[Key], alone: bool) -> dict[Key, Resource]:
    """Return everything but agents, agents that others name and, unless `alone`, one of each sort."""
    named = _named(models)
    kept: dict[Key, Resource] = {}
    seen: set[object] = set()
    for key, model in models.items():
        if not isinstance(model, Agent) or key in keep or key.path in named:
            kept[key] = model
            continue
        if alone:
            continue
        alike = _kind_of_agent(model)
        if alike not in seen:
            seen.add(alike)
            kept[key] = model
    return kept


def _kind_of_agent(agent: Agent) -> object:
    spec = agent.spec
    references = (_plain(ref) for ref in (spec.node_ref, spec.profile_ref, spec.owner_ref))
    rest = "" if spec.narrow is None and spec.runtime is None else repr((spec.narrow, spec.runtime))
    return (agent.metadata.namespace, *references, spec.analyzer, rest)


def _plain(ref: ObjectRef | None) -> tuple[str, str | None] | None:
    return (ref.name, ref.namespace) if ref is not None else None


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
    if not any(node.spec.agents and node.spec.agents.max is not None for node in nodes.values()):
        return
    agents = (model for model in models.values() if isinstance(model, Agent))
    counts: dict[str, int] = {}
    for place, number in Counter(reference_key(agent, agent.spec.node_ref) for agent in agents).items():
        for step in _upwards(nodes, place):
            counts[step] = counts.get(step, 0) + number
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
