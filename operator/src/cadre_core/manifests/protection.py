"""Policies of the API server itself that guard what Cadre's own webhook does not see.

Pods, accounts and workloads are no kinds of Cadre: that nobody runs a pod with an agent's account, asks for
its token, enters an agent, or edits what the operator made, is decided by the API server alone, even when no
replica of the operator runs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from cadre_core.manifests.settings import LABEL_AGENT, Json

_API = "admissionregistration.k8s.io/v1"
_KUBE = "system:serviceaccount:kube-system"
_STATEFUL_SETS = f"{_KUBE}:statefulset-controller"
_HANDS = (
    f"{_KUBE}:generic-garbage-collector",
    f"{_KUBE}:namespace-controller",
    _STATEFUL_SETS,
    f"{_KUBE}:disruption-controller",
    f"{_KUBE}:endpoint-controller",
    f"{_KUBE}:endpointslice-controller",
)
"""The cluster's own controllers that keep our objects going."""
PREFIX = "agent-"
"""How the names of agents' accounts and pods begin."""


@dataclass(frozen=True, slots=True)
class ProtectionSettings:
    """Who may do what nobody else may."""

    operator: str
    """User name of the operator's account."""
    break_glass_group: str = "cadre:break-glass"
    """Members may enter pods and edit what the operator made, in an emergency; the audit log tells."""
    namespace_labels: tuple[tuple[str, str], ...] = (("cadre.dev/agents", "true"),)
    """Labels of the namespaces where names with the prefix belong to agents."""
    exempt: tuple[str, ...] = ()
    """Namespaces that Cadre's admission does not see."""


def protection(settings: ProtectionSettings) -> tuple[Json, ...]:
    """Return the policies with their bindings."""
    policies = (
        _accounts(settings),
        _tokens(settings),
        _entrance(settings),
        _parts(settings),
        _statuses(settings),
        _unjudged(settings),
    )
    return tuple(obj for policy in policies for obj in (policy, _binding(policy)))


def _accounts(settings: ProtectionSettings) -> Json:
    """Refuse pods with an agent's account that are not the agent's own replicas."""
    named = "has(object.spec.serviceAccountName) && object.spec.serviceAccountName.startsWith('agent-')"
    owned = (
        f"request.userInfo.username == '{_STATEFUL_SETS}' && has(object.metadata.ownerReferences)"
        " && object.metadata.ownerReferences.exists(o, o.kind == 'StatefulSet' && o.controller == true"
        " && o.name == object.spec.serviceAccountName)"
    )
    rule = _rule([""], ["v1"], ["CREATE"], ["pods"])
    message = "only the replicas of an Agent use its account: create an Agent instead of this pod"
    return _policy("cadre-agent-accounts", [rule], f"!({named}) || ({owned})", message, settings)


def _tokens(settings: ProtectionSettings) -> Json:
    """Refuse tokens of agents' accounts to everyone but the kubelets that run their pods."""
    rule = _rule([""], ["v1"], ["CREATE"], ["serviceaccounts/token"])
    kubelet = _member("system:nodes")
    expression = f"!request.name.startsWith('{PREFIX}') || {kubelet}"
    message = "tokens of agents' accounts are made for their own pods only"
    return _policy("cadre-agent-tokens", [rule], expression, message, settings)


def _entrance(settings: ProtectionSettings) -> Json:
    """Refuse to enter agents' pods, by command, port or another container."""
    ways = ["pods/exec", "pods/attach", "pods/portforward", "pods/proxy"]
    rules = [
        _rule([""], ["v1"], ["CONNECT"], ways),
        _rule([""], ["v1"], ["UPDATE"], ["pods/ephemeralcontainers"]),
    ]
    expression = f"!request.name.startsWith('{PREFIX}') || {_broken_glass(settings)}"
    message = f"agents' pods are sealed; in an emergency the group {settings.break_glass_group} may enter"
    return _policy("cadre-agent-entrance", rules, expression, message, settings)


def _parts(settings: ProtectionSettings) -> Json:
    """Refuse changes by others to what the operator made, and impostors with its labels."""
    rules = [
        _rule([""], ["v1"], ["CREATE", "UPDATE", "DELETE"], ["serviceaccounts", "configmaps", "services"]),
        _rule(["apps"], ["v1"], ["CREATE", "UPDATE", "DELETE"], ["statefulsets", "statefulsets/scale"]),
        _rule(["networking.k8s.io"], ["v1"], ["CREATE", "UPDATE", "DELETE"], ["networkpolicies"]),
        _rule(["policy"], ["v1"], ["CREATE", "UPDATE", "DELETE"], ["poddisruptionbudgets"]),
    ]
    labelled = " || ".join(
        f"({what} != null && has({what}.metadata.labels) && '{LABEL_AGENT}' in {what}.metadata.labels)"
        for what in ("object", "oldObject")
    )
    # an absent field is an error in CEL, and an error refuses
    subresource = "has(request.subResource) && request.subResource == 'scale'"
    scale = f"({subresource} && request.name.startsWith('{PREFIX}'))"
    allowed = f"{_users((settings.operator, *_HANDS))} || {_broken_glass(settings)}"
    expression = f"!({labelled} || {scale}) || {allowed}"
    message = "the operator keeps this as the Agent says: change the Agent"
    return _policy("cadre-agent-parts", rules, expression, message, settings, everywhere=True)


def _statuses(settings: ProtectionSettings) -> Json:
    """Refuse statuses of Cadre's kinds that are not the operator's: a status records consent."""
    rule = _rule(["cadre.dev"], ["*"], ["UPDATE"], ["*/status"])
    message = "a status is written by the operator alone"
    return _policy("cadre-statuses", [rule], _users((settings.operator,)), message, settings, everywhere=True)


def _unjudged(settings: ProtectionSettings) -> Json:
    """Refuse objects of Cadre where its admission is not asked: an agent there would be nobody's decision."""
    rule = _rule(["cadre.dev"], ["*"], ["CREATE", "UPDATE"], ["*", "agents/scale"])
    expression = f"!(request.namespace in {json.dumps(list(settings.exempt))})"
    message = "this namespace is exempt from Cadre's admission: nothing of Cadre may be in it but be deleted"
    return _policy("cadre-unjudged", [rule], expression, message, settings, everywhere=True)


def _users(names: Sequence[str]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"request.userInfo.username in [{quoted}]"


def _broken_glass(settings: ProtectionSettings) -> str:
    return _member(settings.break_glass_group)


def _member(group: str) -> str:
    return f"(has(request.userInfo.groups) && request.userInfo.groups.exists(g, g == '{group}'))"


def _rule(groups: list[str], versions: list[str], operations: list[str], resources: list[str]) -> Json:
    return {"apiGroups": groups, "apiVersions": versions, "operations": operations, "resources": resources}


def _policy(
    name: str,
    rules: list[Json],
    expression: str,
    message: str,
    settings: ProtectionSettings,
    everywhere: bool = False,
) -> Json:
    matching: Json = {"resourceRules": rules}
    if not everywhere:
        matching["namespaceSelector"] = {"matchLabels": dict(settings.namespace_labels)}
    spec: Json = {
        "failurePolicy": "Fail",
        "matchConstraints": matching,
        "validations": [{"expression": expression, "message": message, "reason": "Forbidden"}],
    }
    return {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "cadre"}},
        "spec": spec,
    }


def _binding(policy: Json) -> Json:
    metadata = policy["metadata"]
    name = metadata["name"] if isinstance(metadata, dict) else ""
    return {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": metadata,
        "spec": {"policyName": name, "validationActions": ["Deny", "Audit"]},
    }
