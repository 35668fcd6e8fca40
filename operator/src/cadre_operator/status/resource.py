"""The status of every kind but Agent."""

from dataclasses import dataclass

from cadre_api.conditions import ConditionType, ReadyReason
from cadre_core.model import Node, Problem
from cadre_operator.admission.stamps import HeldStamp
from cadre_operator.kube.fields import Json, mapping
from cadre_operator.status.common import SyncState, accepted, awaiting_consent, controller_synced
from cadre_operator.status.conditions import Cond, StatusChange, change, condition
from cadre_operator.watch.entries import Entry


@dataclass(frozen=True, slots=True)
class ResourceInput:
    """What the status of an object is made from."""

    entry: Entry
    problems: tuple[Problem, ...]
    in_force: bool
    waiting: HeldStamp | None
    sync: SyncState
    revision: str
    now: str
    node: Node | None = None
    counts: tuple[int, int] | None = None
    """Agents of a node's subtree (total, ready), when it is time to say so again."""


def resource_status(given: ResourceInput) -> StatusChange | None:
    """Return the status to write; None when it is written already or better waits for the controller."""
    synced = controller_synced(given.entry, given.in_force, given.sync, given.revision)
    if synced is None:
        return None
    first = accepted(given.problems, given.waiting)
    conditions = [_ready(first, given), first, synced]
    if given.waiting is not None:
        conditions.append(awaiting_consent(given.waiting))
    return change(given.entry.status, given.entry.generation, conditions, _facts(given), given.now)


def _ready(first: Cond, given: ResourceInput) -> Cond:
    if first.status != "True":
        return condition(ConditionType.READY, False, ReadyReason.NOT_ACCEPTED, "see Accepted")
    if not given.in_force:
        message = "the tenant's chart has problems elsewhere; the last good version is in force"
        return condition(ConditionType.READY, False, ReadyReason.NOT_ACCEPTED, message)
    return condition(ConditionType.READY, True, ReadyReason.READY)


def _facts(given: ResourceInput) -> Json:
    if given.entry.key.kind != "OrgNode":
        return {}
    written = given.entry.status
    path = "/".join(key.split("/")[1] for key in given.node.path) if given.node else written.get("path")
    counts: object = dict(mapping(written, "agents")) or None
    if given.counts is not None:
        counts = {"total": given.counts[0], "ready": given.counts[1]}
    return {"path": path, "agents": counts}
