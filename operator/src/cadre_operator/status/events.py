"""Events for people who look at an object: what became wrong or right again, what waits for them."""

from collections.abc import Iterable

from cadre_api.conditions import ConditionType, ReadyReason
from cadre_api.v1alpha1 import API_VERSION
from cadre_operator.kube.fields import Json
from cadre_operator.status.conditions import Transition
from cadre_operator.watch.entries import Entry

_TOLD = frozenset(
    {
        ConditionType.READY,
        ConditionType.ACCEPTED,
        ConditionType.EGRESS_SEALED,
        ConditionType.STALLED,
        ConditionType.AWAITING_APPROVAL,
    }
)
_SILENT = frozenset(
    {
        ReadyReason.STARTING,
        ReadyReason.DRAINING,
        ReadyReason.NOT_ACCEPTED,
        ReadyReason.AWAITING_APPROVAL,
        ReadyReason.GUARD_NOT_READY,
        ReadyReason.EGRESS_NOT_SEALED,
    }
)
"""On its way, or told by another condition."""
_ABNORMAL = frozenset({ConditionType.STALLED, ConditionType.AWAITING_APPROVAL})
_MESSAGE_LIMIT = 1000


def worth_telling(kind: str, transitions: Iterable[Transition]) -> list[Transition]:
    """Return the transitions that deserve an event: nothing that is merely on its way or said already."""
    told = _TOLD if kind == "Agent" else _TOLD - {ConditionType.READY}
    return [t for t in transitions if t.type in told and _is_news(t)]


def _is_news(transition: Transition) -> bool:
    if transition.status == "Unknown" or transition.reason in _SILENT:
        return False
    return not (transition.first and transition.status == "True" and transition.type not in _ABNORMAL)


def event(entry: Entry, transition: Transition, now: str, unique: str) -> Json:
    """Make an Event; `unique` tells it from others of the object."""
    bad = (transition.status == "True") == (transition.type == ConditionType.STALLED)
    message = transition.message or f"{transition.type} is {transition.status}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{entry.key.name}.{unique}", "namespace": entry.key.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": entry.key.kind,
            "name": entry.key.name,
            "namespace": entry.key.namespace,
            "uid": entry.uid,
            "resourceVersion": str(entry.version),
        },
        "type": "Warning" if bad and transition.type != ConditionType.AWAITING_APPROVAL else "Normal",
        "reason": transition.reason,
        "message": message[:_MESSAGE_LIMIT],
        "source": {"component": "cadre-operator"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
