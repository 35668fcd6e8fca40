"""Who may write what in the chart: the chart in force decides about its own changes.

A write is allowed, refused with whom to ask, or has to wait for somebody's consent. Admission and desktop
mode call the same function.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cadre_api.v1alpha1 import Agent, Enforcement, ObjectRef, OrgNode, Person, Policy, Resource, RoleProfile
from cadre_core.compile.draft import reference_key
from cadre_core.model import Snapshot
from cadre_core.policy.ceiling import roles_at, roles_on_path
from cadre_core.policy.request import TENANT_ADMIN
from cadre_core.resources import key_of


class Operation(StrEnum):
    """What is done to an object, as admission names it."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


class Answer(StrEnum):
    """What the chart says about a write."""

    ALLOW = "Allow"
    WAIT = "Wait"
    """Admitted, without effect until one of `ask` consents."""
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, why, and whom to ask."""

    answer: Answer
    reason: str
    message: str = ""
    ask: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the write may be stored."""
        return self.answer is not Answer.DENY


_OK = Verdict(Answer.ALLOW, "Entitled")
_HEAD_MAY_EDIT = frozenset({"title", "locale", "profile_ref"})
"""What the head of a node changes there; all else is for the head above."""


@dataclass(frozen=True, slots=True)
class _Write:
    snapshot: Snapshot
    person: str
    old: Resource | None
    new: Resource | None

    @property
    def admins(self) -> tuple[str, ...]:
        return holders(self.snapshot, self.snapshot.root, "Head")


def may_write(
    snapshot: Snapshot,
    person: str,
    operation: str,
    kind: str,
    old: Resource | None,
    new: Resource | None,
) -> Verdict:
    """Judge a write against the chart in force.

    `person` is a person key, TENANT_ADMIN, or empty for an identity registered as GitOps, which stands for no
    person: what it may not decide by itself waits for consent. `old`/`new` are None for CREATE/DELETE.
    """
    write = _Write(snapshot, person, old, new)
    if _root_changes(operation, old, new):
        if person == TENANT_ADMIN:
            return _OK
        message = "a root OrgNode is a tenant: it needs the right to create tenants.cadre.dev"
        return Verdict(Answer.DENY, "NeedsTenantRight", message)
    if person == TENANT_ADMIN or person in write.admins:
        return _OK
    verdict = _RULES.get(kind, _admins_only)(write)
    if person or verdict.answer is Answer.ALLOW:
        return verdict
    return Verdict(
        Answer.WAIT, "NoPerson", "applied by a machine: waits for consent", verdict.ask or write.admins
    )


def _root_changes(operation: str, old: Resource | None, new: Resource | None) -> bool:
    before = isinstance(old, OrgNode) and old.spec.parent_ref is None
    after = isinstance(new, OrgNode) and new.spec.parent_ref is None
    return (before or after) and (operation != Operation.UPDATE or before != after)


def holders(snapshot: Snapshot, node: str, role: str) -> tuple[str, ...]:
    """Return who holds a role at a node."""
    members = snapshot.nodes[node].members if node in snapshot.nodes else ()
    return tuple(m.person for m in members if role in m.roles)


def acting_heads(snapshot: Snapshot, node: str) -> tuple[str, ...]:
    """Return the heads of the nearest node on the path that has any."""
    path = snapshot.nodes[node].path if node in snapshot.nodes else ()
    found = (holders(snapshot, step, "Head") for step in reversed(path))
    return next((heads for heads in found if heads), ())


def _heads_above(snapshot: Snapshot, node: str) -> tuple[str, ...]:
    path = snapshot.nodes[node].path if node in snapshot.nodes else ()
    return acting_heads(snapshot, path[-2]) if len(path) > 1 else holders(snapshot, snapshot.root, "Head")


def _need(write: _Write, groups: Iterator[tuple[str, ...]], what: str) -> Verdict:
    """Require the writer to be among every group; an empty group means the admins."""
    for group in groups:
        entitled = group or write.admins
        if write.person not in entitled:
            message = f"{what}; ask {', '.join(entitled) or 'a tenant admin'}"
            return Verdict(Answer.DENY, "NotEntitled", message, entitled)
    return _OK


def _admins_only(write: _Write) -> Verdict:
    message = f"only tenant admins write this; ask {', '.join(write.admins) or 'a tenant admin'}"
    return Verdict(Answer.DENY, "AdminsOnly", message, write.admins)


def _person(write: _Write) -> Verdict:
    old, new = write.old, write.new
    if isinstance(old, Person) and isinstance(new, Person) and key_of(new) == write.person:
        same = old.spec.model_copy(update={"absences": ()}) == new.spec.model_copy(update={"absences": ()})
        if same:
            return Verdict(Answer.ALLOW, "OwnAbsences")
    return _admins_only(write)


def _node(write: _Write) -> Verdict:
    return _need(write, _node_groups(write), "a node is governed by the head above it")


def _node_groups(write: _Write) -> Iterator[tuple[str, ...]]:
    changed = _changed(write)
    for node in (write.old, write.new):
        if isinstance(node, OrgNode) and node.spec.parent_ref is not None:
            parent = reference_key(node, node.spec.parent_ref)
            above = acting_heads(write.snapshot, parent)
            own = holders(write.snapshot, key_of(node), "Head") if changed <= _HEAD_MAY_EDIT else ()
            yield (*above, *own)


def _changed(write: _Write) -> set[str]:
    if not isinstance(write.old, OrgNode) or not isinstance(write.new, OrgNode):
        return {"everything"}
    fields = type(write.old.spec).model_fields
    return {name for name in fields if getattr(write.old.spec, name) != getattr(write.new.spec, name)}


def _policy(write: _Write) -> Verdict:
    places = {key for policy in (write.old, write.new) for key in _policy_nodes(policy)}
    groups = (_heads_above(write.snapshot, node) for node in sorted(places))
    return _need(write, groups, "policies on a node are written by the head above it")


def _policy_nodes(policy: Resource | None) -> Iterator[str]:
    """Yield the nodes that a policy governs or speaks about: a rule about others is for those above."""
    if not isinstance(policy, Policy):
        return
    yield from (reference_key(policy, target.node_ref) for target in policy.spec.targets)
    for rule in policy.spec.rules or ():
        for subject in rule.subjects or ():
            if subject.node_ref is not None:
                yield reference_key(policy, subject.node_ref)


def widens_by_policy(old: Policy | None, new: Policy | None) -> bool:
    """Whether removing a policy, or setting it to DryRun, takes a restriction away."""
    enforced_before = old is not None and old.spec.enforcement is Enforcement.ENFORCE
    enforced_after = new is not None and new.spec.enforcement is Enforcement.ENFORCE
    return enforced_before and not enforced_after


def _agent(write: _Write) -> Verdict:
    nodes = [reference_key(a, a.spec.node_ref) for a in (write.old, write.new) if isinstance(a, Agent)]
    if not write.new and isinstance(write.old, Agent) and write.person in _may_remove(write, write.old):
        return _OK
    for node in nodes:
        requesters = holders(write.snapshot, node, "AgentRequester")
        if write.person not in requesters:
            asked = requesters or acting_heads(write.snapshot, node) or write.admins
            message = (
                f"agents at {node} need AgentRequester there; ask {', '.join(asked) or 'a tenant admin'}"
            )
            return Verdict(Answer.DENY, "NotEntitled", message, asked)
    return _consent(write)


def _may_remove(write: _Write, agent: Agent) -> tuple[str, ...]:
    node = reference_key(agent, agent.spec.node_ref)
    return (*_owner(agent), *acting_heads(write.snapshot, node))


def _owner(agent: Agent) -> tuple[str, ...]:
    ref: ObjectRef | None = agent.spec.owner_ref
    return (reference_key(agent, ref),) if ref is not None else ()


def _consent(write: _Write) -> Verdict:
    """Name who has to consent: an owner who is somebody else, and whom the node asks."""
    if not isinstance(write.new, Agent):
        return _OK
    before = _owner(write.old) if isinstance(write.old, Agent) else ()
    owner = _owner(write.new)
    if owner != before and owner and owner != (write.person,):
        return Verdict(Answer.WAIT, "OwnerConsent", f"{owner[0]} is to own it and has to agree", owner)
    return _OK


def consenters(snapshot: Snapshot, agent: str) -> tuple[str, ...]:
    """Return who may consent to an agent's effective rights; empty when its node asks for no consent."""
    found = snapshot.agents[agent]
    if not found.needs_consent:
        return ()
    if found.consent == "Head":
        return acting_heads(snapshot, found.node)
    people = sorted({m.person for step in found.path for m in snapshot.nodes[step].members})
    return tuple(p for p in people if "Approver" in roles_on_path(snapshot, p, found.node))


def _profile(write: _Write) -> Verdict:
    profile = write.new or write.old
    if not isinstance(profile, RoleProfile):
        return _admins_only(write)
    key = key_of(profile)
    users = {a.node for a in write.snapshot.agents.values() if key in a.profile_lineage}
    if not users:
        return _any_head(write)
    groups = (acting_heads(write.snapshot, node) for node in sorted(users))
    return _need(write, groups, "a profile is written by the heads of all nodes that use it")


def _any_head(write: _Write) -> Verdict:
    heads = sorted({p for node in write.snapshot.nodes for p in holders(write.snapshot, node, "Head")})
    return _need(write, iter([tuple(heads)]), "this is written by heads")


def _workflow(write: _Write) -> Verdict:
    nodes = write.snapshot.nodes
    if any(roles_at(write.snapshot, write.person, node) & {"Head", "AgentRequester"} for node in nodes):
        return _OK
    return _any_head(write)


_RULES: Mapping[str, Callable[[_Write], Verdict]] = {
    "Person": _person,
    "OrgNode": _node,
    "Policy": _policy,
    "Agent": _agent,
    "RoleProfile": _profile,
    "Workflow": _workflow,
    "ModelProvider": _admins_only,
    "ToolServer": _admins_only,
}
