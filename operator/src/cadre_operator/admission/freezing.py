"""Writes of `spec.freeze`: heads above may stop and let go on, whoever governs the rest of the object."""

from datetime import UTC, datetime

from cadre_api.protocol.freeze import FreezeScope, FreezeSource
from cadre_api.v1alpha1 import Agent, OrgNode, Resource
from cadre_core.consent import Answer, Verdict
from cadre_core.freeze import Freeze, heads_towards, may_thaw, rank_of
from cadre_core.model import Snapshot
from cadre_operator.admission.review import Review
from cadre_operator.admission.stamps import FROZEN_BY, FreezeStamp, open_freeze

_OK = Verdict(Answer.ALLOW, "Entitled")


def changes_freeze(review: Review) -> bool:
    """Whether an update stops something, or lets it go on."""
    return review.operation == "UPDATE" and _freeze(review.old) != _freeze(review.new)


def changes_only_freeze(review: Review) -> bool:
    """Whether it changes nothing else."""
    rest = [{k: v for k, v in spec.items() if k != "freeze"} for spec in (review.old_spec, review.new_spec)]
    return changes_freeze(review) and rest[0] == rest[1]


def judge_freeze(snapshot: Snapshot, person: str, review: Review, seal_key: bytes) -> Verdict:
    """Judge a change of `spec.freeze`. A machine may stop at once; what it lets go on waits for consent."""
    heads = heads_towards(snapshot, _scope(review), review.path)
    if _freeze(review.new) is not None:
        if not person or rank_of(snapshot, person, _scope(review), review.path) is not None:
            return _OK
        return _refused("heads above freeze this", heads)
    stamp = open_freeze(review.old_notes.get(FROZEN_BY, ""), review.subject, seal_key)
    held = _held(review, stamp.rank if stamp is not None else snapshot.root)
    if person and may_thaw(snapshot, person, held):
        return _OK
    if not person:
        return Verdict(Answer.WAIT, "NoPerson", "applied by a machine: waits for consent", heads)
    return _refused("this was frozen above you", heads)


def stamp_of(snapshot: Snapshot, person: str, review: Review) -> FreezeStamp | None:
    """Return who stops something; None when the object says nothing of freezing."""
    if _freeze(review.new) is None:
        return None
    rank = rank_of(snapshot, person, _scope(review), review.path) or snapshot.root
    return FreezeStamp(review.subject, person if person in snapshot.persons else "", rank)


def moves(review: Review) -> bool:
    """Whether an update hangs an object elsewhere in the chart."""
    if review.operation != "UPDATE":
        return False
    if isinstance(review.old, Agent) and isinstance(review.new, Agent):
        return review.old.spec.node_ref != review.new.spec.node_ref
    if isinstance(review.old, OrgNode) and isinstance(review.new, OrgNode):
        return review.old.spec.parent_ref != review.new.spec.parent_ref
    return False


def _held(review: Review, rank: str) -> Freeze:
    ever = datetime.fromtimestamp(0, UTC)
    return Freeze(_scope(review), review.path, "", FreezeSource.RESOURCE, rank, "", ever)


def _scope(review: Review) -> FreezeScope:
    return FreezeScope.AGENT if review.kind == "Agent" else FreezeScope.NODE


def _freeze(model: Resource | None) -> object:
    return model.spec.freeze if isinstance(model, Agent | OrgNode) else None


def _refused(why: str, heads: tuple[str, ...]) -> Verdict:
    return Verdict(Answer.DENY, "NotEntitled", f"{why}; ask {', '.join(heads) or 'a tenant admin'}", heads)
