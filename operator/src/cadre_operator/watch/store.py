"""What is known of the cluster: what the watches brought, and our own writes until they have caught up.

Without the second part each write would be followed by a needless one, made from the picture before it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cadre_operator.keys import Key
from cadre_operator.watch.entries import Child, Entry, entry_of, key_of

OWN_WRITES_SECONDS = 15.0
"""Longest time that an own write is believed against the watch: a watch that is further behind is broken."""

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
_NODES = "OrgNode"
Place = tuple[str, str]
"""Namespace and agent."""


@dataclass(frozen=True, slots=True)
class _Written(Generic[T]):
    value: T
    version: int
    until: float

    def newer(self, version: int, now: float) -> bool:
        return self.version > version and now <= self.until


@dataclass(slots=True)
class Store:
    """Reads for decisions; written by the watches, and by whoever just wrote to the cluster."""

    clock: Callable[[], float]
    _objects: dict[str, dict[Key, Entry]] = field(default_factory=dict)
    """By namespace."""
    _nodes: dict[Key, Entry] = field(default_factory=dict)
    _children: dict[Place, dict[tuple[str, str], Child]] = field(default_factory=dict)
    _written: dict[Key, _Written[Entry]] = field(default_factory=dict)
    _applied: dict[Place, dict[tuple[str, str], _Written[Child]]] = field(default_factory=dict)

    def read(self, body: Mapping[str, object]) -> Entry:
        """Read an object of the API; what it says as before is kept once."""
        return entry_of(body, self._seen(key_of(body)))

    def _seen(self, key: Key) -> Entry | None:
        return self._objects.get(key.namespace, {}).get(key)

    def entry(self, key: Key) -> Entry | None:
        """Return an object, our own last write included."""
        seen = self._seen(key)
        mine = self._written.get(key)
        if mine is None or seen is None or mine.value.uid != seen.uid:
            return seen
        return mine.value if mine.newer(seen.version, self.clock()) else seen

    def in_namespace(self, namespace: str) -> list[Entry]:
        """Return all objects of a namespace."""
        return list(self._objects.get(namespace, {}).values())

    def nodes(self) -> list[Entry]:
        """Return all OrgNodes of all tenants."""
        return list(self._nodes.values())

    def namespaces(self) -> list[str]:
        """Return the namespaces that hold any object."""
        return sorted(self._objects)

    def all_entries(self) -> list[Entry]:
        """Return every object as the watches brought it."""
        return [entry for found in self._objects.values() for entry in found.values()]

    def entries_of(self, kind: str, namespace: str = "") -> list[Entry]:
        """Return the objects of a kind, in one namespace or all, as the watches brought them."""
        found = self.in_namespace(namespace) if namespace else self.all_entries()
        return [entry for entry in found if entry.key.kind == kind]

    def children_of(self, kind: str, namespace: str = "") -> list[Child]:
        """Return the parts of a kind, in one namespace or all, as the watches brought them."""
        groups = (group for place, group in self._children.items() if namespace in ("", place[0]))
        return [child for group in groups for child in group.values() if child.kind == kind]

    def children(self, namespace: str, agent: str) -> list[Child]:
        """Return what belongs to an agent, our own last writes included."""
        found = dict(self._children.get((namespace, agent), {}))
        now = self.clock()
        for identity, mine in self._applied.get((namespace, agent), {}).items():
            seen = found.get(identity)
            if mine.newer(seen.version if seen else 0, now):
                found[identity] = mine.value
        return list(found.values())

    def wrote(self, entry: Entry) -> None:
        """Note what the API server answered to a status write of ours."""
        seen = self._seen(entry.key)
        if seen is None or seen.version < entry.version:
            self._written[entry.key] = _Written(entry, entry.version, self.clock() + OWN_WRITES_SECONDS)

    def applied(self, child: Child) -> None:
        """Note what the API server answered when we applied a part of an agent."""
        place = (child.namespace, child.agent)
        seen = self._children.get(place, {}).get(child.identity)
        if seen is None or seen.version < child.version:
            mine = _Written(child, child.version, self.clock() + OWN_WRITES_SECONDS)
            self._applied.setdefault(place, {})[child.identity] = mine

    def see(self, entry: Entry, gone: bool) -> bool:
        """A watch brought this object, or its end; return whether it is the echo of our own write."""
        mine = self._written.get(entry.key)
        if mine is not None and (gone or not mine.newer(entry.version, self.clock())):
            del self._written[entry.key]
        group = self._objects.setdefault(entry.key.namespace, {})
        for found in (group, self._nodes) if entry.key.kind == _NODES else (group,):
            _put(found, entry.key, entry, gone)
        if not group:
            del self._objects[entry.key.namespace]
        return not gone and mine is not None and mine.version == entry.version

    def see_child(self, child: Child, gone: bool) -> bool:
        """A watch brought this part of an agent, or its end; return whether our own write echoes."""
        place = (child.namespace, child.agent)
        mine = self._applied.get(place, {}).get(child.identity)
        if mine is not None and (gone or not mine.newer(child.version, self.clock())):
            _drop(self._applied, place, child.identity)
        group = self._children.setdefault(place, {})
        _put(group, child.identity, child, gone)
        if not group:
            del self._children[place]
        return not gone and mine is not None and mine.version == child.version

    def namesakes(self, child: Child) -> list[Child]:
        """Return what is kept of the same object under other agents: its label may have been changed."""
        same = (found for found in self.children_of(child.kind, child.namespace) if found.uid == child.uid)
        return [found for found in same if found.agent != child.agent]

    def knows(self, child: Child) -> bool:
        """Whether a watch brought this object before, as a part of this agent."""
        return child.identity in self._children.get((child.namespace, child.agent), {})


def _put(found: dict[K, V], key: K, value: V, gone: bool) -> None:
    if gone:
        found.pop(key, None)
    else:
        found[key] = value


def _drop(groups: dict[Place, dict[K, V]], place: Place, key: K) -> None:
    groups[place].pop(key, None)
    if not groups[place]:
        del groups[place]
