"""Conditions that all kinds share: Accepted tells of the chart, ControllerSynced of the controller."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cadre_api.conditions import (
    AcceptedReason,
    AwaitingApprovalReason,
    ConditionType,
    ControllerSyncedReason,
)
from cadre_core.model import Problem
from cadre_operator.admission.stamps import DECISION, HeldStamp
from cadre_operator.status.conditions import Cond, condition, synced_generation
from cadre_operator.watch.entries import Entry

_REASONS: Mapping[str, AcceptedReason] = {
    "DanglingReference": AcceptedReason.REFERENCE_NOT_FOUND,
    "NotAvailable": AcceptedReason.REFERENCE_NOT_FOUND,
    "UnknownTool": AcceptedReason.REFERENCE_NOT_FOUND,
    "UnknownModel": AcceptedReason.REFERENCE_NOT_FOUND,
    "NotGranted": AcceptedReason.REFERENCE_NOT_GRANTED,
    "Cycle": AcceptedReason.CYCLE,
    "BadCondition": AcceptedReason.CONDITION_INVALID,
    "MistypedCondition": AcceptedReason.CONDITION_INVALID,
    "UnknownVariable": AcceptedReason.CONDITION_INVALID,
    "UnknownArgument": AcceptedReason.CONDITION_INVALID,
    "UntypedArgument": AcceptedReason.CONDITION_INVALID,
    "DynamicArgument": AcceptedReason.CONDITION_INVALID,
    "ArgsOutsideCallTool": AcceptedReason.CONDITION_INVALID,
    "ProfileNotAllowed": AcceptedReason.PROFILE_NOT_ALLOWED,
    "QuotaExceeded": AcceptedReason.QUOTA_EXCEEDED,
    "DuplicateIdentity": AcceptedReason.CONFLICT,
    "MultipleRoots": AcceptedReason.CONFLICT,
    "ConflictingTool": AcceptedReason.CONFLICT,
}
_SHOWN = 5


class Sync(StrEnum):
    """What is known of the controller and a tenant's chart."""

    UNKNOWN = "Unknown"
    """Not tried since we started: what is written still stands."""
    SYNCED = "Synced"
    REJECTED = "Rejected"
    UNREACHABLE = "Unreachable"
    ABSENT = "Absent"
    """No controller is configured."""


@dataclass(frozen=True, slots=True)
class SyncState:
    """The last answer of the controller about a tenant."""

    state: Sync = Sync.UNKNOWN
    revision: str = ""
    """What it acknowledged."""
    message: str = ""
    lasting: bool = False
    """Unreachable for so long that it is worth saying on every object."""


def describe(problems: Iterable[Problem]) -> str:
    """Write problems for people: field, what is wrong, the fix."""
    some = list(problems)
    lines = [_line(problem) for problem in some[:_SHOWN]]
    if len(some) > _SHOWN:
        lines.append(f"and {len(some) - _SHOWN} more")
    return "; ".join(lines)


def _line(problem: Problem) -> str:
    where = f"{problem.field}: " if problem.field else ""
    return f"{where}{problem.message}" + (f" ({problem.fix})" if problem.fix else "")


def accepted(problems: tuple[Problem, ...], waiting: HeldStamp | None) -> Cond:
    """Return Accepted: false with the first problem's reason and all messages, or while a change waits."""
    if problems:
        reason = _REASONS.get(problems[0].reason, AcceptedReason.INVALID)
        return condition(ConditionType.ACCEPTED, False, reason, describe(problems))
    if waiting is not None:
        return condition(
            ConditionType.ACCEPTED, False, AcceptedReason.NOT_AUTHORIZED, how_to_consent(waiting)
        )
    return condition(ConditionType.ACCEPTED, True, AcceptedReason.ACCEPTED)


def awaiting_consent(waiting: HeldStamp) -> Cond:
    """Return AwaitingApproval for a change without effect yet: nothing is broken, a person is asked."""
    reason = AwaitingApprovalReason.CONSENT_REQUIRED
    return condition(ConditionType.AWAITING_APPROVAL, True, reason, how_to_consent(waiting))


def how_to_consent(waiting: HeldStamp) -> str:
    """Say what waits, for whom, and how they consent."""
    people = ", ".join(waiting.ask) or "a tenant admin"
    return f"{waiting.reason}; ask {people} to set {DECISION}=approve:{waiting.spec_hash}"


def controller_synced(entry: Entry, in_force: bool, sync: SyncState, revision: str) -> Cond | None:
    """Return ControllerSynced; None = an answer is on its way and nothing is to be written yet."""
    kind = ConditionType.CONTROLLER_SYNCED
    if sync.state is Sync.ABSENT:
        reason = ControllerSyncedReason.CONTROLLER_UNREACHABLE
        return condition(kind, False, reason, "no controller is configured")
    if sync.state is Sync.REJECTED:
        return condition(kind, False, ControllerSyncedReason.REJECTED, sync.message)
    written = synced_generation(entry.status, kind) == entry.generation
    if sync.state is Sync.UNREACHABLE and (sync.lasting or not written):
        reason = ControllerSyncedReason.CONTROLLER_UNREACHABLE
        return condition(kind, False, reason, f"agents work on with what they have: {sync.message}")
    if written or (in_force and sync.state is Sync.SYNCED and sync.revision == revision):
        return condition(kind, True, ControllerSyncedReason.SYNCED)
    if not in_force:
        message = "the former version is in force; see Accepted"
        return condition(kind, False, ControllerSyncedReason.PENDING, message)
    return None
