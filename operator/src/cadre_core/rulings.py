"""Rulings about values: whose agents they reach, and who may make them.

A release widens what leaves, so it takes who may change the policies of the place: the head above a node, or
a tenant admin. An addition narrows: the head of the place itself may.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cadre_api.data_classes import DataClass
from cadre_api.protocol.freeze import FreezeScope
from cadre_api.protocol.guard import GuardRules, GuardTerm
from cadre_api.protocol.rulings import RulingKind, RulingScope
from cadre_core.freeze import rank_of
from cadre_core.model import EffectiveAgent, Snapshot
from cadre_core.policy.request import TENANT_ADMIN

LISTED = "DENY_LIST"
"""Type of what a policy's `denyList` names: never released."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """One ruling, its value in clear."""

    id: str
    kind: RulingKind
    scope: RulingScope
    target: str
    entity_type: str
    value: str
    reason: str
    by: str
    """Actor id."""
    at: datetime
    until: datetime

    def covers(self, agent: EffectiveAgent | None) -> bool:
        """Whether an agent's guard holds to it; without an agent, texts of the tenant as such."""
        if self.scope is RulingScope.TENANT or agent is None:
            return self.scope is RulingScope.TENANT
        return self.target in agent.path if self.scope is RulingScope.NODE else self.target == agent.key


def may_rule(snapshot: Snapshot, person: str, kind: RulingKind, scope: RulingScope, target: str) -> bool:
    """Whether a person (a key, or TENANT_ADMIN) may make or take back such a ruling."""
    if person == TENANT_ADMIN:
        return True
    rank = rank_of(snapshot, person, FreezeScope(scope.value), target)
    if rank is None or kind is RulingKind.ADD:
        return rank is not None
    return scope is RulingScope.AGENT or (scope is RulingScope.NODE and rank != target)


def releasable(rules: GuardRules, entity_type: str, data_class: str) -> bool:
    """Whether values of a type may be released under these rules: never credentials, nor what they block."""
    action = rules.entity_actions.get(entity_type, rules.mode)
    return data_class != DataClass.CREDENTIALS and action != "Block" and entity_type != LISTED


def ruled(rules: GuardRules, rulings: Iterable[Ruling]) -> GuardRules:
    """Return the rules with rulings that cover their agent."""
    terms: dict[RulingKind, list[GuardTerm]] = {kind: [] for kind in RulingKind}
    for each in rulings:
        term = GuardTerm(text=each.value, entity_type=each.entity_type, until=each.until)
        terms[each.kind].append(term)
    added, released = tuple(terms[RulingKind.ADD]), tuple(terms[RulingKind.RELEASE])
    return rules.model_copy(update={"added": added, "released": released}) if added or released else rules
