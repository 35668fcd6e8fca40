"""Who may decide an approval: the reporting line upwards, with absences and separation of duties applied."""

from dataclasses import dataclass
from datetime import datetime

from cadre_api.units import parse_duration
from cadre_api.v1alpha1 import Approval
from cadre_core.model import Absence, ApprovalRule, PersonSpec, Snapshot

MAX_DELEGATIONS = 8
"""A delegate may be away too; a longer chain of delegations counts as nobody."""


@dataclass(frozen=True, slots=True)
class Level:
    """The people who may decide at one node of the line."""

    node: str
    persons: tuple[str, ...]
    delegated_from: tuple[tuple[str, str], ...] = ()
    """(delegate, absent person) of everyone who stands in."""


def approval_rule(approval: Approval, node: str) -> ApprovalRule:
    """What an approval of the chart asks for; `node`: key of its nodeRef, empty without one."""
    always = approval.allow_always
    return ApprovalRule(
        by=approval.by.value,
        role=approval.role.value,
        person="",
        quorum=approval.quorum,
        separation_of_duties=approval.separation_of_duties,
        timeout_seconds=_seconds(approval.timeout),
        on_timeout=approval.on_timeout.value,
        node=node,
        always_uses=always.uses if always else 0,
        always_seconds=_seconds(always.duration) if always else 0,
    )


def _seconds(duration: str) -> int:
    return int(parse_duration(duration).total_seconds())


def approver_chain(
    snapshot: Snapshot,
    node: str,
    rule: ApprovalRule,
    requester_persons: frozenset[str],
    now: datetime,
    decided: frozenset[str] = frozenset(),
) -> tuple[Level, ...]:
    """Return the levels to ask, nearest first; past the last one (or with none) the answer is no.

    The line starts at the rule's own node, else at the agent's, and ends at the root. Whoever is absent at
    `now` (with time zone) is replaced by the delegate. With separation of duties `requester_persons` (the
    author of the task, and the agent's owner when the owner started it) never decide, nor do their delegates.
    `decided` agreed to another rule of the same approval: nobody decides an approval twice, so they and their
    delegates are passed over whatever the rule says of separation.
    An empty level is passed over; one with fewer people than the quorum is joined with the next above.
    """
    start = rule.node or node
    path = snapshot.nodes[start].path if start in snapshot.nodes else ()
    barred = decided | (requester_persons if rule.separation_of_duties else frozenset())
    found: list[Level] = []
    waiting: Level | None = None
    for step in reversed(path):
        level = _joined(waiting, _level(snapshot, step, rule, barred, now))
        complete = len(level.persons) >= max(rule.quorum, 1)
        waiting = None if complete else level
        found += [level] if complete else []
    return tuple(found)


def _joined(below: Level | None, level: Level) -> Level:
    if below is None or not below.persons:
        return level
    persons = tuple(dict.fromkeys((*below.persons, *level.persons)))
    return Level(below.node, persons, (*below.delegated_from, *level.delegated_from))


def _level(snapshot: Snapshot, node: str, rule: ApprovalRule, barred: frozenset[str], now: datetime) -> Level:
    holders = [m.person for m in snapshot.nodes[node].members if rule.role in m.roles]
    persons: dict[str, None] = {}
    stand_ins: list[tuple[str, str]] = []
    for holder in sorted(holders):
        if holder in barred:
            continue
        decider = _present(snapshot, holder, now)
        if decider is None or decider in barred:
            continue
        if decider != holder:
            stand_ins.append((decider, holder))
        persons[decider] = None
    return Level(node, tuple(persons), tuple(stand_ins))


def _present(snapshot: Snapshot, person: str, now: datetime) -> str | None:
    seen: list[str] = []
    current = person
    while current and current not in seen and len(seen) <= MAX_DELEGATIONS:
        seen.append(current)
        spec = snapshot.persons.get(current)
        if spec is None:
            return None
        absence = absent(spec, now)
        if absence is None:
            return current
        current = absence.delegate
    return None


def absent(person: PersonSpec, now: datetime) -> Absence | None:
    """Return the absence that covers `now`, if any; its end is not part of it."""
    return next((a for a in person.absences if a.start <= now < a.until), None)
