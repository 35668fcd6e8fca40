"""Takes in what the watches bring: keeps it, trimmed, and queues what it concerns.

An event only says what to look at. The echo of an own write says nothing new: whoever wrote has looked.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from cadre_api.v1alpha1 import API_VERSION
from cadre_operator.keys import Key, Priority
from cadre_operator.kube.fields import text
from cadre_operator.reconcile.chart import CHART, queue_everything
from cadre_operator.reconcile.freeze import look_at_freeze
from cadre_operator.watch.entries import Child, Entry, child_of
from cadre_operator.world import World

_LOG = logging.getLogger(__name__)
NODES = "OrgNode"

Kind = tuple[str, str]
"""apiVersion and kind."""


@dataclass(slots=True)
class Intake:
    """Reads the objects of all kinds; until each kind was listed once it only remembers."""

    world: World
    expected: int
    """How many lists there are: kinds, times namespaces."""
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once everything that the cluster holds was read."""
    _listed: set[tuple[Kind, str]] = field(default_factory=set)

    def missing(self) -> str:
        """Return what is still missing; empty = nothing."""
        if self.complete.is_set():
            return ""
        return f"{len(self._listed)} of {self.expected} lists are read"

    def take(self, kind: Kind, change: str | None, obj: Mapping[str, object]) -> str:
        """Take in one object, None = it was listed, and return its uid; an unreadable one changes nothing."""
        # metadata alone, and the items of lists, do not say of what kind they are
        body = {**obj, "apiVersion": kind[0], "kind": kind[1]}
        gone = change == "DELETED"
        try:
            if kind[0] == API_VERSION:
                self._object(body, gone, initial=change is None)
            else:
                self._changed_part(child_of(body), gone, change == "MODIFIED")
        except Exception:
            _LOG.exception("object not read", extra=_named(body))
        return text(body, "metadata", "uid")

    def listed(self, kind: Kind, namespace: str, uids: set[str]) -> None:
        """A list is over: what it did not bring is no more."""
        if kind[0] == API_VERSION:
            for entry in self.world.store.entries_of(kind[1], namespace):
                if entry.uid not in uids:
                    self._missed(entry.key.kind, entry.key.path)
                    on_object(self.world, entry, gone=True, initial=False)
        else:
            for child in self.world.store.children_of(kind[1], namespace):
                if child.uid not in uids:
                    self._missed(child.kind, f"{child.namespace}/{child.name}")
                    self._part(child, gone=True)
        self._listed.add((kind, namespace))
        if len(self._listed) >= self.expected and not self.complete.is_set():
            self.complete.set()
            _arrange(self.world)
            queue_everything(self.world)

    def _missed(self, kind: str, path: str) -> None:
        _LOG.warning("missed deletion found", extra={"kind": kind, "object": path})

    def _object(self, body: Mapping[str, object], gone: bool, initial: bool) -> None:
        if text(body, "metadata", "namespace") in self.world.exempt:
            _LOG.error("object not served, its namespace is exempt from admission", extra=_named(body))
            return
        entry = self.world.store.read(body)
        if self.complete.is_set():
            on_object(self.world, entry, gone, initial)
        else:
            self.world.store.see(entry, gone)
            look_at_freeze(self.world, entry, gone)

    def _changed_part(self, child: Child, gone: bool, modified: bool) -> None:
        if modified and not self.world.store.knows(child):
            for former in self.world.store.namesakes(child):
                self._part(former, gone=True)
        self._part(child, gone)

    def _part(self, child: Child, gone: bool) -> None:
        echo = self.world.store.see_child(child, gone)
        if gone:
            self.world.reviewed.pop(child.uid, None)
        if self.world.leading and self.complete.is_set() and not echo:
            self.world.objects.add(Key("Agent", child.namespace, child.agent), Priority.AFFECTED)


def on_object(world: World, entry: Entry, gone: bool, initial: bool) -> None:
    """Remember one of our objects and queue what its news concern."""
    echo = world.store.see(entry, gone)
    look_at_freeze(world, entry, gone)
    if entry.key.kind == NODES:
        _arrange(world)
    tenant = world.book.tenant_of(entry.key.namespace)
    state = world.book.states.get(tenant)
    if gone or state is None or state.fingerprints.get(entry.key) != entry.fingerprint:
        world.charts.add(Key(CHART, tenant), after=world.book.pace(tenant, world.clock()))
    elif world.leading and not initial and not echo:
        world.objects.add(entry.key, Priority.ROUTINE)
    if gone and world.leading:
        world.objects.add(entry.key, Priority.ROUTINE)


def _arrange(world: World) -> None:
    for tenant in world.book.arrange(world.store.nodes()):
        world.charts.add(Key(CHART, tenant))


def _named(body: Mapping[str, object]) -> dict[str, object]:
    name = f"{text(body, 'metadata', 'namespace')}/{text(body, 'metadata', 'name')}"
    return {"kind": text(body, "kind"), "object": name}
