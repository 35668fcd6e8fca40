"""The decision: ceiling, arguments, conditions, then Cedar; whatever goes wrong on the way is a Deny."""

from collections.abc import Iterable, Mapping

import cedarpy

from cadre_api.protocol.base import Effect
from cadre_core.model import ApprovalRule, Rule, Snapshot
from cadre_core.policy.cedar import BASE_ID, host_patterns, resource_uid, uid
from cadre_core.policy.ceiling import Ceiling, ceiling
from cadre_core.policy.facts import Outcome, argument_refusal, outcomes
from cadre_core.policy.request import (
    TENANT_ADMIN,
    AgentResource,
    Decision,
    HostResource,
    ModelResource,
    NodeResource,
    PolicyRequest,
    Resource,
    ToolResource,
)
from cadre_core.policy.sets import ActionSets, PolicyProgram, program_of

__all__ = [
    "TENANT_ADMIN",
    "AgentResource",
    "Decision",
    "HostResource",
    "ModelResource",
    "NodeResource",
    "PolicyProgram",
    "PolicyRequest",
    "Resource",
    "ToolResource",
    "compile_policies",
    "evaluate",
]

Json = dict[str, object]


class _CedarError(Exception):
    """Cedar reported an error: some policy was not counted."""


def compile_policies(snapshot: Snapshot) -> PolicyProgram:
    """Parse a snapshot's rules once; keep the result as long as the snapshot."""
    return program_of(snapshot)


def evaluate(program: PolicyProgram, request: PolicyRequest) -> Decision:
    """Decide. Deny beats RequireApproval (all that match must be met) beats Allow; an error never allows."""
    snapshot = program.snapshot
    limit = ceiling(snapshot, request)
    if limit.hard:
        return Decision(Effect.DENY, reason=limit.reason, message=limit.message)
    refusal = argument_refusal(snapshot, request)
    if refusal is not None:
        return Decision(Effect.DENY, reason=refusal[0], message=refusal[1])
    sets = program.actions.get(request.action, program.plain)
    try:
        found = outcomes(program, sets.rules, request)
        return _decide(program, sets, request, limit, found)
    except Exception as error:  # nothing that fails in here may let anything through
        detail = str(error) if isinstance(error, _CedarError) else type(error).__name__
        return Decision(
            Effect.DENY, reason="PolicyError", message=f"the policies could not be applied: {detail}"
        )


def _decide(
    program: PolicyProgram,
    sets: ActionSets,
    request: PolicyRequest,
    limit: Ceiling,
    found: Mapping[str, Outcome],
) -> Decision:
    question = _question(program.snapshot, request, limit, found)
    rules = {rule.id: rule for rule in sets.rules}
    trial = _matching(program, sets.trial, question)
    permits, forbids = _verdict(program, sets.decide, question)
    if forbids:
        return _denied(forbids, rules, found, trial)
    if not permits:
        return Decision(Effect.DENY, (), (), limit.reason, limit.message, trial)
    holds = _matching(program, sets.hold, question)
    if holds:
        return _held(holds, rules, trial)
    names = tuple(limit.rule if rule == BASE_ID else rule for rule in permits)
    return Decision(Effect.ALLOW, names, (), "Allowed", "", trial)


def _question(
    snapshot: Snapshot, request: PolicyRequest, limit: Ceiling, found: Mapping[str, Outcome]
) -> Json:
    target = request.resource
    return {
        "principal": _principal(snapshot, request.subject),
        "action": uid("Action", request.action),
        "resource": resource_uid(target),
        "context": {
            "base": limit.allowed,
            "when": {rule: outcome.met for rule, outcome in found.items()},
            "locality": target.locality if isinstance(target, ModelResource) else "",
            "hosts": host_patterns(target.host) if isinstance(target, HostResource) else [],
        },
    }


def _principal(snapshot: Snapshot, subject: str) -> Json:
    if subject in snapshot.agents:
        return uid("Agent", subject)
    kind, _, key = subject.partition(":")
    return uid("Person", key) if kind == "person" else uid("Admin", subject)


def _ask(program: PolicyProgram, policies: "cedarpy.PolicySet", question: Json) -> tuple[bool, list[str]]:
    answer = cedarpy.is_authorized(question, policies, program.entities)
    if answer.diagnostics.errors:
        raise _CedarError("; ".join(map(str, answer.diagnostics.errors)))
    return bool(answer.allowed), sorted(answer.diagnostics.reasons)


def _matching(program: PolicyProgram, sets: Iterable["cedarpy.PolicySet"], question: Json) -> tuple[str, ...]:
    return tuple(rule for policies in sets for rule in _ask(program, policies, question)[1])


def _verdict(
    program: PolicyProgram, sets: Iterable["cedarpy.PolicySet"], question: Json
) -> tuple[list[str], list[str]]:
    permits: list[str] = []
    forbids: list[str] = []
    for policies in sets:
        allowed, reasons = _ask(program, policies, question)
        (permits if allowed else forbids).extend(reasons)
    return permits, forbids


def _denied(
    ids: list[str], rules: Mapping[str, Rule], found: Mapping[str, Outcome], trial: tuple[str, ...]
) -> Decision:
    failed = all(found[rule].failed for rule in ids)
    reason = "ConditionError" if failed else "DeniedByRule"
    return Decision(Effect.DENY, tuple(ids), (), reason, _message(ids, rules, "denies this"), trial)


def _held(ids: tuple[str, ...], rules: Mapping[str, Rule], trial: tuple[str, ...]) -> Decision:
    approvals = tuple((rule, rules[rule].approval or _DEFAULT) for rule in ids)
    message = _message(ids, rules, "asks for approval")
    return Decision(Effect.REQUIRE_APPROVAL, ids, approvals, "ApprovalRequired", message, trial)


def _message(ids: Iterable[str], rules: Mapping[str, Rule], what: str) -> str:
    return "; ".join(rules[rule].message or f"rule {rule} {what}" for rule in ids)


_DEFAULT = ApprovalRule("ReportingLine", "Head", "", 1, True, 8 * 3600, "Escalate")
