"""The org chart as a tree: exactly one root, no cycle, no dangling parent, no uninvited guest."""

from collections.abc import Mapping
from dataclasses import dataclass

from cadre_api.units import parse_money
from cadre_api.v1alpha1 import Locale, OrgNode, Person
from cadre_core.compile.draft import Draft, granted
from cadre_core.model import BudgetSpec, Membership, Node, Problem


@dataclass(frozen=True, slots=True)
class Tree:
    """The nodes that hang together under the root."""

    root: str
    specs: Mapping[str, OrgNode]
    paths: Mapping[str, tuple[str, ...]]

    def on_path(self, node: str) -> tuple[OrgNode, ...]:
        """Return the nodes from the root down to `node`."""
        return tuple(self.specs[key] for key in self.paths[node])

    def below(self, node: str, top: str) -> bool:
        """Whether `node` is `top` or somewhere under it."""
        return top in self.paths.get(node, ())


def build_tree(draft: Draft) -> Tree | None:
    """Arrange the nodes; None when there is no usable root."""
    specs = draft.resources.of(OrgNode)
    parents = {key: _parent(draft, node) for key, node in specs.items()}
    _refuse_cycles(draft, specs, parents)
    root = _root(draft, specs)
    paths = {key: path for key in specs if (path := _path(key, parents, specs)) is not None}
    if root is None:
        return None
    mine = {key: path for key, path in paths.items() if path[0] == root}
    return Tree(root, {key: specs[key] for key in mine}, mine)


def _parent(draft: Draft, node: OrgNode) -> str | None:
    if node.spec.parent_ref is None:
        return None
    key = draft.resolve(node, node.spec.parent_ref, OrgNode, "spec.parentRef")
    parent = draft.resources.of(OrgNode).get(key or "")
    if parent is None:
        return None
    if not granted(parent, node):
        message = f"{key} grants no OrgNode to namespace {node.metadata.namespace}"
        fix = f"add {{kinds: [OrgNode], namespaces: [{node.metadata.namespace}]}} to its spec.grants"
        draft.refuse(node, "spec.parentRef", "NotGranted", message, fix)
        return None
    return key


def _refuse_cycles(draft: Draft, specs: Mapping[str, OrgNode], parents: Mapping[str, str | None]) -> None:
    done: set[str] = set()
    for start in specs:
        trail: list[str] = []
        key: str | None = start
        while key is not None and key not in done and key not in trail:
            trail.append(key)
            key = parents.get(key)
        if key is not None and key in trail:
            cycle = sorted(trail[trail.index(key) :])
            message = f"these nodes are each other's parents: {', '.join(cycle)}"
            fix = "hang one of them under a node outside of the circle"
            draft.refuse(specs[cycle[0]], "spec.parentRef.name", "Cycle", message, fix)
        done.update(trail)


def _path(
    key: str, parents: Mapping[str, str | None], specs: Mapping[str, OrgNode]
) -> tuple[str, ...] | None:
    path: list[str] = []
    current: str | None = key
    while current is not None:
        if current in path:
            return None
        path.append(current)
        current = parents[current]
    top = specs[path[-1]]
    return tuple(reversed(path)) if top.spec.parent_ref is None else None


def _root(draft: Draft, specs: Mapping[str, OrgNode]) -> str | None:
    roots = [key for key, node in specs.items() if node.spec.parent_ref is None]
    if not roots and any(kind == "OrgNode" for kind, _ in draft.resources.invalid):
        return None
    if not roots:
        fix = "write one OrgNode without parentRef: the company itself"
        draft.problems.append(Problem("OrgNode", "spec.parentRef", "NoRoot", "no OrgNode is a root", fix))
        return None
    for key in roots[1:]:
        message = f"{key} has no parentRef, and neither has {roots[0]}: a chart has one root"
        draft.refuse(specs[key], "spec.parentRef", "MultipleRoots", message, "set parentRef in one of them")
    return roots[0]


def build_nodes(draft: Draft, tree: Tree) -> dict[str, Node]:
    """Turn placed nodes into the snapshot's form."""
    return {key: _node(draft, tree, node) for key, node in tree.specs.items()}


def _node(draft: Draft, tree: Tree, node: OrgNode) -> Node:
    key = f"{node.metadata.namespace}/{node.metadata.name}"
    return Node(
        key=key,
        type=node.spec.type.value,
        title=node.spec.title,
        path=tree.paths[key],
        members=_members(draft, node),
        locale=effective_locale(tree.on_path(key)),
        budget=_budget(node),
        running=node.spec.agents.running if node.spec.agents is not None else None,
    )


def _members(draft: Draft, node: OrgNode) -> tuple[Membership, ...]:
    found = []
    for i, member in enumerate(node.spec.members):
        person = draft.resolve(node, member.person_ref, Person, f"spec.members[{i}].personRef")
        if person is not None:
            found.append(Membership(person, frozenset(role.value for role in member.roles)))
    return tuple(sorted(found, key=lambda m: m.person))


def effective_locale(path: tuple[OrgNode, ...]) -> dict[str, object]:
    """Return languages, timeZone and dataResidency as set nearest to the node; a root has en and UTC."""
    locales = [node.spec.locale or Locale() for node in reversed(path)]
    residency = next((x.data_residency for x in locales if x.data_residency), None)
    found: dict[str, object] = {
        "languages": next((x.languages for x in locales if x.languages), ("en",)),
        "timeZone": next((x.time_zone for x in locales if x.time_zone), "UTC"),
    }
    return found | ({"dataResidency": residency} if residency else {})


def _budget(node: OrgNode) -> BudgetSpec | None:
    budget = node.spec.budget
    if budget is None:
        return None
    return BudgetSpec(
        period=budget.period.value,
        amount=parse_money(budget.amount) if budget.amount is not None else None,
        currency=budget.currency or "",
        tokens=budget.tokens,
        warn_at_percent=budget.warn_at_percent,
        on_exceeded=budget.on_exceeded.value,
    )
