"""Policies to rules: references resolved, conditions typed, ids stable."""

from collections.abc import Mapping
from dataclasses import dataclass

from cadre_api.protocol.base import Effect
from cadre_api.v1alpha1 import (
    Agent,
    Approval,
    Enforcement,
    ModelProvider,
    OrgNode,
    Person,
    Policy,
    PolicyResource,
    PolicyRule,
    RoleProfile,
    Scope,
    Subject,
)
from cadre_core.approvers import approval_rule
from cadre_core.compile.conditions import check_condition
from cadre_core.compile.draft import Draft, reference_key
from cadre_core.compile.sources import check_model, check_source, tool_source
from cadre_core.compile.tree import Tree
from cadre_core.model import ApprovalRule, Rule, ToolServerSpec
from cadre_core.scope import node_covers

_SUBJECTS = (
    ("node_ref", OrgNode),
    ("agent_ref", Agent),
    ("profile_ref", RoleProfile),
    ("person_ref", Person),
)
_KIND_WORDS = {"agent_ref": "Agent", "profile_ref": "Profile", "person_ref": "Person"}


@dataclass(frozen=True, slots=True)
class CompiledPolicies:
    """All rules, and which policies cover which place."""

    rules: tuple[Rule, ...]
    placed: tuple[tuple[Policy, tuple[tuple[str, str], ...]], ...]

    def covering(self, path: tuple[str, ...]) -> tuple[tuple[Policy, int], ...]:
        """Return the enforced policies that cover a place, with the depth of their highest target."""
        found = []
        for policy, targets in self.placed:
            depths = [path.index(node) for node, scope in targets if node_covers(node, scope, path)]
            if depths and policy.spec.enforcement is Enforcement.ENFORCE:
                found.append((policy, min(depths)))
        return tuple(found)


def build_policies(
    draft: Draft, tenant: str, tree: Tree, servers: Mapping[str, ToolServerSpec]
) -> CompiledPolicies:
    """Compile every policy; rules come sorted by id."""
    placed: list[tuple[Policy, tuple[tuple[str, str], ...]]] = []
    rules: list[Rule] = []
    for policy in draft.resources.of(Policy).values():
        targets = _targets(draft, tree, policy)
        placed.append((policy, targets))
        _check_retention(draft, tree, policy, targets)
        for i in range(len(policy.spec.rules or ())):
            rules.append(_rule(draft, policy_id(tenant, tree, policy), policy, i, targets))
            check_condition(draft, policy, i, rules[-1], servers)
    return CompiledPolicies(tuple(sorted(rules, key=lambda rule: rule.id)), tuple(placed))


def policy_id(tenant: str, tree: Tree, policy: Policy) -> str:
    """Return `<tenant>/<policy>`; outside of the root's namespace the policy's own stands before the name."""
    namespace, name = policy.metadata.namespace, policy.metadata.name
    return f"{tenant}/{name}" if namespace == tree.root.split("/")[0] else f"{tenant}/{namespace}.{name}"


def _targets(draft: Draft, tree: Tree, policy: Policy) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for i, target in enumerate(policy.spec.targets):
        path = f"spec.targets[{i}].nodeRef"
        key = draft.resolve(policy, target.node_ref, OrgNode, path)
        if key is None or key not in tree.paths:
            continue
        if not any(step.split("/")[0] == policy.metadata.namespace for step in tree.paths[key]):
            message = f"{key} is neither in namespace {policy.metadata.namespace} nor below a node of it"
            draft.refuse(policy, path, "NotGranted", message, "put the policy into the namespace of the node")
            continue
        found.append((key, target.scope.value))
    return tuple(sorted(set(found)))


def _check_retention(draft: Draft, tree: Tree, policy: Policy, targets: tuple[tuple[str, str], ...]) -> None:
    retention = policy.spec.retention
    if retention is not None and retention.audit_days is not None and {n for n, _ in targets} != {tree.root}:
        message = "audit retention is per tenant"
        fix = f"set it on a policy whose only target is {tree.root}"
        draft.refuse(policy, "spec.retention.auditDays", "OnlyAtRoot", message, fix)


def _rule(
    draft: Draft, policy_name: str, policy: Policy, index: int, targets: tuple[tuple[str, str], ...]
) -> Rule:
    rule = (policy.spec.rules or ())[index]
    path = f"spec.rules[{index}]"
    return Rule(
        id=f"{policy_name}#{rule.name}",
        effect=Effect(rule.effect.value),
        actions=frozenset(action.value for action in rule.actions),
        targets=targets,
        subjects=_subjects(draft, policy, rule, path),
        resources=tuple(
            _resource(draft, policy, resource, f"{path}.resources[{i}]")
            for i, resource in enumerate(rule.resources or ())
        ),
        when=rule.when or "",
        approval=_approval(draft, policy, rule, path),
        enforced=policy.spec.enforcement is Enforcement.ENFORCE,
        message=rule.message or "",
    )


def _subjects(draft: Draft, policy: Policy, rule: PolicyRule, path: str) -> tuple[tuple[str, str], ...]:
    found = [
        _subject(draft, policy, subject, f"{path}.subjects[{i}]")
        for i, subject in enumerate(rule.subjects or ())
    ]
    return tuple(sorted(found))


def _subject(draft: Draft, policy: Policy, subject: Subject, path: str) -> tuple[str, str]:
    for name, kind in _SUBJECTS:
        ref = getattr(subject, name)
        if ref is not None:
            word = "".join(part.title() if i else part for i, part in enumerate(name.split("_")))
            draft.resolve(policy, ref, kind, f"{path}.{word}")
            return reference_key(policy, ref), _KIND_WORDS.get(name, (subject.scope or Scope.SUBTREE).value)
    raise AssertionError("the API model lets no subject through without a reference")


def _resource(draft: Draft, policy: Policy, resource: PolicyResource, path: str) -> dict[str, object]:
    if resource.tool_server_ref or resource.builtin or resource.goose_extension:
        names = {f"{path}.tools[{i}]": tool for i, tool in enumerate(resource.tools or ())}
        check_source(draft, policy, resource, path, names)
        tools = {"tools": tuple(sorted(resource.tools))} if resource.tools else {}
        return {"server": tool_source(policy, resource), **tools}
    if resource.provider_ref is not None:
        key = draft.resolve(policy, resource.provider_ref, ModelProvider, f"{path}.providerRef")
        for i, model in enumerate(resource.models or () if key else ()):
            check_model(draft, policy, key or "", model, f"{path}.models[{i}]")
        models = {"models": tuple(sorted(resource.models))} if resource.models else {}
        return {"provider": reference_key(policy, resource.provider_ref), **models}
    if resource.node_ref is not None:
        draft.resolve(policy, resource.node_ref, OrgNode, f"{path}.nodeRef")
        scope = (resource.scope or Scope.SUBTREE).value
        return {"node": reference_key(policy, resource.node_ref), "scope": scope}
    if resource.agent_ref is not None:
        draft.resolve(policy, resource.agent_ref, Agent, f"{path}.agentRef")
        return {"agent": reference_key(policy, resource.agent_ref)}
    return {"locality": resource.locality.value} if resource.locality else {"host": resource.host or ""}


def _approval(draft: Draft, policy: Policy, rule: PolicyRule, path: str) -> ApprovalRule | None:
    if rule.effect.value != Effect.REQUIRE_APPROVAL.value:
        return None
    approval = rule.approval or Approval()
    node = ""
    if approval.node_ref is not None:
        node = draft.resolve(policy, approval.node_ref, OrgNode, f"{path}.approval.nodeRef") or ""
    return approval_rule(approval, node)


def audit_days(policies: Mapping[str, Policy]) -> int:
    """Return how long audit events are kept: the longest that a policy of the root asks for, else 90 days."""
    stated = [p.spec.retention.audit_days for p in policies.values() if p.spec.retention]
    return max((days for days in stated if days is not None), default=90)
