"""What the steps of a compilation share: the input, the problems found so far, and how references resolve."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cadre_api.v1alpha1 import ObjectRef, OrgNode, Resource
from cadre_core.load.errors import did_you_mean
from cadre_core.model import Problem
from cadre_core.resources import Resources


@dataclass(slots=True)
class Draft:
    """A compilation under way."""

    resources: Resources
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, owner: Resource, path: str, reason: str, message: str, fix: str = "") -> None:
        """Note a problem; the compilation goes on to find the others."""
        self.problems.append(self.resources.problem(owner, path, reason, message, fix))

    def resolve(self, owner: Resource, ref: ObjectRef, kind: type[Resource], path: str) -> str | None:
        """Return the key a reference points at, or None after noting why it points nowhere."""
        key = reference_key(owner, ref)
        known: Mapping[str, Resource] = self.resources.of(kind)
        if key not in known and (kind.__name__, key) in self.resources.invalid:
            return None
        if key not in known:
            self._dangling(owner, ref, kind, path)
            return None
        if not self.reachable(owner.metadata.namespace, known[key].metadata.namespace):
            message = f"{kind.__name__} {key} is in another namespace that grants nothing to this one"
            fix = f"add a grant for namespace {owner.metadata.namespace} to a node in {key.split('/')[0]}"
            self.refuse(owner, f"{path}.namespace", "NotGranted", message, fix)
            return None
        return key

    def _dangling(self, owner: Resource, ref: ObjectRef, kind: type[Resource], path: str) -> None:
        mine, there = owner.metadata.namespace, ref.namespace or owner.metadata.namespace
        names = [k.split("/")[1] for k in self.resources.of(kind) if k.split("/")[0] == there]
        message, fix = f"there is no {kind.__name__} {there}/{ref.name}", did_you_mean(ref.name, names)
        if there != mine and not names:  # a company that grants nothing shows nothing
            message += f" in sight of namespace {mine}"
            fix = f"if it exists, a node there has to name {mine} in its spec.grants"
        self.refuse(owner, f"{path}.name", "DanglingReference", message, fix)

    def reachable(self, mine: str, other: str) -> bool:
        """Whether objects of one namespace may refer to the other's: same, guest of it, or its host."""
        return mine == other or self._hosts(other, mine) or self._hosts(mine, other)

    def _hosts(self, host: str, guest: str) -> bool:
        nodes = self.resources.of(OrgNode).values()
        grants = (g for n in nodes if n.metadata.namespace == host for g in n.spec.grants)
        return any(guest in grant.namespaces for grant in grants)


def reference_key(owner: Resource, ref: ObjectRef) -> str:
    """Return the key `namespace/name` of a reference; the namespace defaults to the owner's."""
    return f"{ref.namespace or owner.metadata.namespace}/{ref.name}"


def granted(parent: OrgNode, child: Resource) -> bool:
    """Whether `child` may hang under `parent`: own namespace, or a grant for its kind and namespace."""
    if parent.metadata.namespace == child.metadata.namespace:
        return True
    return any(
        child.kind in grant.kinds and child.metadata.namespace in grant.namespaces
        for grant in parent.spec.grants
    )
