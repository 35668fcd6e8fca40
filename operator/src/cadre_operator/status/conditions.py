"""Conditions as values, and whether a status says anything new: only then it is written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cadre_api.conditions import ConditionType, Reason
from cadre_operator.kube.fields import Json, items, number, text

_MESSAGE_LIMIT = 4000


@dataclass(frozen=True, slots=True)
class Cond:
    """One aspect as it is now; when it changed is found by comparing with what is written."""

    type: ConditionType
    status: str
    """True, False or Unknown."""
    reason: Reason
    message: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """A condition that changed its status or reason."""

    type: str
    status: str
    reason: str
    message: str
    first: bool
    """The condition was not written before."""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """The status to write, and what of it is worth an event."""

    status: Json
    transitions: tuple[Transition, ...]


def condition(type_: ConditionType, holds: bool | None, reason: Reason, message: str = "") -> Cond:
    """Make a condition; None = unknown."""
    status = "Unknown" if holds is None else str(holds)
    return Cond(type_, status, reason, message[:_MESSAGE_LIMIT])


def carried(status: Mapping[str, object], type_: ConditionType) -> Mapping[str, object]:
    """Return a condition as it is written; empty when it is not."""
    return next((c for c in items(status, "conditions") if text(c, "type") == type_.value), {})


def change(
    written: Mapping[str, object], generation: int, conditions: Iterable[Cond], facts: Json, now: str
) -> StatusChange | None:
    """Return what to write, or None when it is written already. `now` is RFC 3339.

    A fact that is None is taken out of the status.
    """
    known = {text(c, "type"): c for c in items(written, "conditions")}
    rendered = [_rendered(cond, known.get(cond.type.value, {}), generation, now) for cond in conditions]
    stated = {name: value for name, value in facts.items() if value is not None}
    status: Json = {"observedGeneration": generation, **stated, "conditions": rendered}
    if status == dict(written):
        return None
    dropped = {name: None for name in written if name not in status}
    return StatusChange({**dropped, **status}, _transitions(known, rendered))


def _rendered(cond: Cond, known: Mapping[str, object], generation: int, now: str) -> Json:
    same = text(known, "status") == cond.status
    return {
        "type": cond.type.value,
        "status": cond.status,
        "observedGeneration": generation,
        "lastTransitionTime": text(known, "lastTransitionTime") if same else now,
        "reason": cond.reason.value,
        "message": cond.message,
    }


def _transitions(
    known: Mapping[str, Mapping[str, object]], rendered: Iterable[Json]
) -> tuple[Transition, ...]:
    found = []
    for cond in rendered:
        before = known.get(text(cond, "type"), {})
        if (text(before, "status"), text(before, "reason")) != (text(cond, "status"), text(cond, "reason")):
            found.append(_transition(cond, not before))
    return tuple(found)


def _transition(cond: Json, first: bool) -> Transition:
    return Transition(
        text(cond, "type"), text(cond, "status"), text(cond, "reason"), text(cond, "message"), first
    )


def synced_generation(status: Mapping[str, object], type_: ConditionType) -> int:
    """Return the generation for which a condition is written as true; 0 when it is not."""
    cond = carried(status, type_)
    return number(cond, "observedGeneration") if text(cond, "status") == "True" else 0
