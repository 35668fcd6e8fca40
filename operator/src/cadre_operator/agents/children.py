"""Compares what an agent's objects should be with what they are, and sends as little as possible.

Each applied object carries the digest of what was sent. Equal digests mean that nothing is to be sent, unless
somebody else holds fields of the object since we last looked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cadre_api.v1alpha1 import API_VERSION
from cadre_core.canonical import digest
from cadre_operator.kube.fields import Json, mapping, number, text
from cadre_operator.watch.entries import HASH, Child, Entry


@dataclass(frozen=True, slots=True)
class Difference:
    """What to send for one agent, in order."""

    apply: tuple[Json, ...] = ()
    scale: int | None = None
    """Replicas to set through the scale subresource, when nothing else of the workload changes."""
    delete: tuple[Child, ...] = ()


def prepare(objects: Iterable[Mapping[str, object]], owner: Entry) -> tuple[Json, ...]:
    """Add owner and digest to the objects of an agent."""
    reference = {
        "apiVersion": API_VERSION,
        "kind": "Agent",
        "name": owner.key.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    return tuple(_prepared(obj, reference) for obj in objects)


def _prepared(obj: Mapping[str, object], reference: Json) -> Json:
    metadata: Json = {**mapping(obj, "metadata"), "ownerReferences": [reference]}
    owned: Json = {**obj, "metadata": metadata}
    annotations = {**mapping(metadata, "annotations"), HASH: digest(owned)}
    return {**owned, "metadata": {**metadata, "annotations": annotations}}


def compare(
    desired: Iterable[Json], actual: Iterable[Child], replicas: int, reviewed: Mapping[str, str]
) -> Difference:
    """Return what to send. `reviewed` = uid -> foreign writers that were answered by an apply already."""
    found = {child.identity: child for child in actual if child.kind != "Pod"}
    wanted = {(text(obj, "kind"), text(obj, "metadata", "name")): obj for obj in desired}
    apply = [obj for name, obj in wanted.items() if _outdated(obj, found.get(name), reviewed)]
    workload = found.get(_workload(wanted))
    send = tuple(_with_replicas(obj, replicas) for obj in apply)
    unsent = not any(text(obj, "kind") == "StatefulSet" for obj in send)
    differs = workload is not None and number(workload.facts, "replicas") != replicas
    extra = tuple(child for name, child in found.items() if name not in wanted and not child.deleting)
    return Difference(send, replicas if unsent and differs else None, extra)


def _outdated(obj: Json, child: Child | None, reviewed: Mapping[str, str]) -> bool:
    if child is None:
        return True
    if child.deleting:
        return False  # its end is an event, and then it is made anew
    if child.hash != text(obj, "metadata", "annotations", HASH):
        return True
    return bool(child.foreign) and reviewed.get(child.uid) != child.foreign


def _workload(wanted: Mapping[tuple[str, str], Json]) -> tuple[str, str]:
    return next((name for name in wanted if name[0] == "StatefulSet"), ("", ""))


def _with_replicas(obj: Json, replicas: int) -> Json:
    if text(obj, "kind") != "StatefulSet":
        return obj
    return {**obj, "spec": {**mapping(obj, "spec"), "replicas": replicas}}
