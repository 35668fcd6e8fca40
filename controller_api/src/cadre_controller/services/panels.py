"""Who may decide an approval right now, and when it is decided: pure functions of chart, rules, votes and
time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from cadre_controller.errors import InvalidInput
from cadre_controller.services.models import LiveChart
from cadre_core.approvers import Level, approver_chain
from cadre_core.model import ApprovalRule, Snapshot
from cadre_core.policy.decide import PolicyProgram, PolicyRequest, evaluate
from cadre_core.policy.request import NodeResource


@dataclass(frozen=True, slots=True)
class Requirement:
    """One rule that asks; an approval is granted when all of them are met."""

    rule_id: str
    rule: ApprovalRule
    due: datetime
    level: int = 0
    """How far up the reporting line it has escalated."""
    approved_by: tuple[str, ...] = ()
    """Opaque person ids."""

    @property
    def met(self) -> bool:
        """Whether enough people agreed."""
        return len(self.approved_by) >= self.rule.quorum

    def to_json(self) -> dict[str, object]:
        """As stored."""
        return {
            "ruleId": self.rule_id,
            "rule": asdict(self.rule),
            "due": self.due.isoformat(),
            "level": self.level,
            "approvedBy": list(self.approved_by),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Requirement":
        """As read."""
        return cls(
            stored["ruleId"],
            ApprovalRule(**stored["rule"]),
            datetime.fromisoformat(stored["due"]),
            stored["level"],
            tuple(stored["approvedBy"]),
        )


@dataclass(frozen=True, slots=True)
class Question:
    """What a panel is chosen for."""

    snapshot: Snapshot
    node: str
    requesters: frozenset[str]
    """Person keys on whose behalf it is asked; separation of duties keeps them out."""
    now: datetime
    persons: Mapping[str, str]
    """Person keys by the opaque ids under which votes are kept."""


def question_of(live: LiveChart, node: str, requester: str, now: datetime) -> Question:
    """What is asked at a node for a requester (opaque id), by the chart of this moment."""
    person = live.persons_by_id.get(requester)
    return Question(live.snapshot, node, frozenset({person} if person else ()), now, live.persons_by_id)


def requirements_of(rules: Iterable[tuple[str, ApprovalRule]], now: datetime) -> tuple[Requirement, ...]:
    """Fresh requirements, each with its own deadline."""
    return tuple(Requirement(i, rule, now + timedelta(seconds=rule.timeout_seconds)) for i, rule in rules)


def panel(
    question: Question, requirement: Requirement, requirements: Sequence[Requirement]
) -> tuple[str, ...]:
    """Person keys who may decide this one of the requirements now, nearest first: every level reached, and as
    many more as the quorum needs."""
    persons: list[str] = []
    for height, level in enumerate(chain(question, requirement, requirements)):
        if height > requirement.level and len(persons) >= requirement.rule.quorum:
            break
        persons += [person for person in level.persons if person not in persons]
    return tuple(persons)


def chain(
    question: Question, requirement: Requirement, requirements: Sequence[Requirement] = ()
) -> tuple[Level, ...]:
    """The whole line of approvers of one of the requirements, as it stands at this moment (absences,
    delegates, who agreed to another one of them)."""
    elsewhere = _agreed(question, requirements) - _agreed(question, (requirement,))
    return approver_chain(
        question.snapshot, question.node, requirement.rule, question.requesters, question.now, elsewhere
    )


def _agreed(question: Question, requirements: Iterable[Requirement]) -> frozenset[str]:
    """Person keys of those who agreed and are still in the chart."""
    ids = {person_id for requirement in requirements for person_id in requirement.approved_by}
    return frozenset(question.persons[i] for i in ids if i in question.persons)


def can_be_met(question: Question, requirement: Requirement) -> bool:
    """Whether the whole line holds enough people."""
    everyone = {person for level in chain(question, requirement) for person in level.persons}
    return len(everyone) >= requirement.rule.quorum


def approvers(question: Question, requirements: Sequence[Requirement]) -> tuple[str, ...]:
    """Everyone who may decide something about it now, nearest first; who did decide is done with it."""
    done = _agreed(question, requirements)
    names = [person for r in requirements if not r.met for person in panel(question, r, requirements)]
    return tuple(dict.fromkeys(name for name in names if name not in done))


def approve(
    question: Question, requirements: Sequence[Requirement], person: str, person_id: str
) -> tuple[Requirement, ...]:
    """The requirements after this person's yes: it counts wherever the person may decide."""
    return tuple(
        replace(r, approved_by=(*r.approved_by, person_id))
        if not r.met and person in panel(question, r, requirements)
        else r
        for r in requirements
    )


def require_alone(person_id: str, requirements: Sequence[Requirement], reason: str) -> None:
    """Nobody decides alone what others have to agree to as well. Raises InvalidInput."""
    if any(not r.met or r.approved_by != (person_id,) for r in requirements):
        raise InvalidInput(reason, "others have to agree as well, each time", "approve this call alone")


def escalate(question: Question, requirements: Sequence[Requirement]) -> tuple[Requirement, ...] | None:
    """The requirements after their deadlines: overdue ones move one level up; None when one cannot."""
    moved = []
    for requirement in requirements:
        if requirement.met or requirement.due > question.now:
            moved.append(requirement)
            continue
        top = len(chain(question, requirement, requirements)) - 1
        if requirement.rule.on_timeout != "Escalate" or requirement.level >= top:
            return None
        due = question.now + timedelta(seconds=requirement.rule.timeout_seconds)
        moved.append(replace(requirement, level=requirement.level + 1, due=due))
    return tuple(moved)


def barred(program: PolicyProgram, person: str, node: str) -> str:
    """Why a rule forbids this person to decide at this node; empty when none does.

    Only rules count here: who stands in for an absent head holds no role there, and may decide all the same.
    """
    resource = NodeResource(node)
    decision = evaluate(program, PolicyRequest(f"person:{person}", node, "DecideApproval", resource))
    return decision.message or decision.reason if decision.reason in _BY_RULE else ""


_BY_RULE = frozenset({"DeniedByRule", "ConditionError", "PolicyError"})


def next_due(requirements: Sequence[Requirement], now: datetime) -> datetime:
    """When the next unmet requirement is overdue."""
    return min((r.due for r in requirements if not r.met), default=now)
