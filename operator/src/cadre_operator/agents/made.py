"""Remembers what an agent's objects are, so that most looks at an agent need not make them again.

Each event of a part, and each compilation of the chart, has the agent looked at. Only digests are kept: the
objects themselves would be most of the operator's memory.
"""

from dataclasses import dataclass
from sys import intern

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
    parts: tuple[tuple[str, str, str], ...]
    """Kind, name and digest of each."""

    @property
    def stubs(self) -> tuple[Json, ...]:
        """The objects with nothing but what they are compared by."""
        return tuple(_stub(*part) for part in self.parts)

    def again(self, source: tuple[object, ...]) -> "Made":
        """Return the same, made from an equal source, so that nothing of former charts is held on to."""
        return Made(source, self.parts)


def source_of(snapshot: Snapshot, agent: Agent, entry: Entry, cluster: ClusterSettings) -> tuple[object, ...]:
    """Return everything that decides how an agent's objects look."""
    return (snapshot.agents[entry.key.path], snapshot.providers, agent, entry.uid, cluster)


def make(snapshot: Snapshot, agent: Agent, entry: Entry, cluster: ClusterSettings) -> tuple[Json, ...]:
    """Make the objects of an agent, with owner and digest."""
    return prepare(agent_manifests(snapshot, agent, cluster), entry)


def remembered(source: tuple[object, ...], objects: tuple[Json, ...]) -> Made:
    """Keep of objects what they are compared by."""
    return Made(source, tuple(_part(obj) for obj in objects))


def _part(obj: Json) -> tuple[str, str, str]:
    name, note = text(obj, "metadata", "name"), text(obj, "metadata", "annotations", HASH)
    return intern(text(obj, "kind")), intern(name), note


def _stub(kind: str, name: str, note: str) -> Json:
    return {"kind": kind, "metadata": {"name": name, "annotations": {HASH: note}}}
