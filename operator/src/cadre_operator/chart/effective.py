"""Which version of an object counts: the written one, or the former one while a change waits for consent."""

from collections.abc import Iterable

from cadre_api.parse import InvalidResourceError, parse_resource
from cadre_api.v1alpha1 import API_VERSION, Resource
from cadre_operator.admission.stamps import HELD, HeldStamp, open_held
from cadre_operator.keys import Key
from cadre_operator.watch.entries import Entry


def held(entry: Entry, seal_key: bytes) -> HeldStamp | None:
    """Return the change of an object that waits, if one does."""
    text = entry.notes.get(HELD, "")
    return open_held(text, f"{entry.key.kind} {entry.key.path}", seal_key) if text else None


def counting(entries: Iterable[Entry], seal_key: bytes) -> dict[Key, Resource]:
    """Return, per key, the version that counts; what is being deleted counts until it is gone."""
    found: dict[Key, Resource] = {}
    for entry in entries:
        waiting = held(entry, seal_key)
        model = entry.model if waiting is None else _former(entry, waiting)
        if model is not None:
            found[entry.key] = model
    return found


def _former(entry: Entry, waiting: HeldStamp) -> Resource | None:
    if waiting.former is None:
        return None
    obj = {
        "apiVersion": API_VERSION,
        "kind": entry.key.kind,
        "metadata": {"name": entry.key.name, "namespace": entry.key.namespace},
        "spec": dict(waiting.former),
    }
    try:
        return parse_resource(obj, unknown="ignore")
    except InvalidResourceError:
        return None
