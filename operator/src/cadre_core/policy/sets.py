"""A snapshot's rules, parsed once: per action one group of Cedar sets to decide, to hold, and to try out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import cedarpy

from cadre_api.protocol.base import Effect
from cadre_core import cel
from cadre_core.model import Rule, Snapshot
from cadre_core.policy.cedar import entities, static_policies

SET_SIZE = 100
"""Cedar reads every policy of a set for each request; larger sets cost more than several."""


@dataclass(frozen=True, slots=True)
class ActionSets:
    """The rules for one action."""

    rules: tuple[Rule, ...]
    decide: tuple["cedarpy.PolicySet", ...]
    """Allow and Deny as permit and forbid, with the base permit in the first."""
    hold: tuple["cedarpy.PolicySet", ...]
    """RequireApproval as permits: each reported one must be met."""
    trial: tuple["cedarpy.PolicySet", ...]
    """DryRun rules as permits: reported, without effect."""


@dataclass(frozen=True, slots=True)
class PolicyProgram:
    """Parsed policies of one snapshot; keep it as long as the snapshot."""

    snapshot: Snapshot
    actions: Mapping[str, ActionSets]
    entities: "cedarpy.Entities"
    conditions: Mapping[str, "cel.Program"]
    """CEL text -> program; a text that does not parse is missing, so its condition errors."""
    plain: ActionSets = field(default_factory=lambda: action_sets(()))
    """For actions that no rule speaks about."""


def program_of(snapshot: Snapshot) -> PolicyProgram:
    """Parse a snapshot's rules; raises ValueError only if Cedar refuses its own form."""
    names = sorted({action for rule in snapshot.rules for action in rule.actions})
    texts = {rule.when for rule in snapshot.rules if rule.when}
    programs = {text: program for text in sorted(texts) if (program := _program(text)) is not None}
    return PolicyProgram(
        snapshot=snapshot,
        actions={name: action_sets(tuple(r for r in snapshot.rules if name in r.actions)) for name in names},
        entities=cedarpy.Entities.from_json_str(json.dumps(entities(snapshot))),
        conditions=programs,
    )


def _program(text: str) -> "cel.Program | None":
    try:
        return cel.compile(text)
    except Exception:  # compilation of the chart reported it; here it only has to match like any error
        return None


def action_sets(rules: tuple[Rule, ...]) -> ActionSets:
    """Group the rules of one action into Cedar sets."""
    enforced = tuple(rule for rule in rules if rule.enforced)
    decide = tuple(rule for rule in enforced if rule.effect is not Effect.REQUIRE_APPROVAL)
    hold = tuple(rule for rule in enforced if rule.effect is Effect.REQUIRE_APPROVAL)
    return ActionSets(
        rules=rules,
        decide=_sets(decide, "", base=True),
        hold=_sets(hold, "permit"),
        trial=_sets(tuple(rule for rule in rules if not rule.enforced), "permit"),
    )


def _sets(rules: tuple[Rule, ...], effect: str, base: bool = False) -> tuple["cedarpy.PolicySet", ...]:
    parts = [rules[i : i + SET_SIZE] for i in range(0, len(rules), SET_SIZE)] or ([()] if base else [])
    return tuple(
        cedarpy.PolicySet.from_json_str(json.dumps(static_policies(part, effect, base and i == 0)))
        for i, part in enumerate(parts)
    )
