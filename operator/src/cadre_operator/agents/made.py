"""Remembers what an agent's objects are, so that most looks at an agent need not make them again.

Each event of a part, and each compilation of the chart, has the agent looked at. Only digests are kept: the
objects themselves would be most of the operator's memory.
"""

from dataclasses import dataclass

from cadre_api.v1alpha1 import Agent
from cadre_core.manifests import agent_manifests
from cadre_core.manifests.settings import ClusterSettings
from cadre_core.model import Snapshot
from cadre_operator.agents.children import prepare
from cadre_operator.kube.fields import Json, text
from cadre_operator.watch.entries import HASH, Entry


@dataclass(frozen=True, slots=True)
class Made:
    """The digests of an agent's objects, and what they were made from."""

    source: tuple[object, ...]
    stubs: tuple[Json, ...]
    """The objects with nothing but what they are compared by."""


def source_of(snapshot: Snapshot, agent: Agent, entry: Entry, cluster: ClusterSettings) -> tuple[object, ...]:
    """Return everything that decides how an agent's objects look."""
    return (snapshot.agents[entry.key.path], snapshot.providers, agent, entry.uid, cluster)


def make(snapshot: Snapshot, agent: Agent, entry: Entry, cluster: ClusterSettings) -> tuple[Json, ...]:
    """Make the objects of an agent, with owner and digest."""
    return prepare(agent_manifests(snapshot, agent, cluster), entry)


def remembered(source: tuple[object, ...], objects: tuple[Json, ...]) -> Made:
    """Keep of objects what they are compared by."""
    return Made(source, tuple(_stub(obj) for obj in objects))


def _stub(obj: Json) -> Json:
    note = text(obj, "metadata", "annotations", HASH)
    return {
        "kind": obj["kind"],
        "metadata": {"name": text(obj, "metadata", "name"), "annotations": {HASH: note}},
    }
