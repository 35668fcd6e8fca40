"""What is known of the cluster: kopf's indexes, and our own writes until the watches have caught up.

Without the second part each write would be followed by a needless one, made from the picture before it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from cadre_operator.keys import Key
from cadre_operator.watch.entries import Child, Entry, entry_of, key_of

OWN_WRITES_SECONDS = 15.0
"""Longest time that an own write is believed against the watch: a watch that is further behind is broken."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Collected(Protocol[T_co]):
    """The values under one key of an index."""

    def __iter__(self) -> Iterator[T_co]: ...


class Index(Protocol[T_co]):
    """An index of kopf: key -> collection of values."""

    def __getitem__(self, key: object, /) -> Collected[T_co]: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[object]: ...


@dataclass(frozen=True, slots=True)
class _Written(Generic[T]):
    value: T
    version: int
    until: float

    def newer(self, version: int, now: float) -> bool:
        return self.version > version and now <= self.until


@dataclass(slots=True)
class Store:
    """Reads for decisions; the only writer is whoever just wrote to the cluster."""

    clock: Callable[[], float]
    _objects: Index[Entry] | None = None
    _children: Index[Child] | None = None
    _written: dict[Key, _Written[Entry]] = field(default_factory=dict)
    _applied: dict[tuple[str, str], dict[tuple[str, str], _Written[Child]]] = field(default_factory=dict)

    def connect(self, objects: Index[Entry], children: Index[Child]) -> None:
        """Read from these indexes from now on."""
        self._objects, self._children = objects, children

    def read(self, body: Mapping[str, object]) -> Entry:
        """Read an object of the API; what it says as before is kept once."""
        return entry_of(body, self._seen(key_of(body)))

    def _seen(self, key: Key) -> Entry | None:
        return next(iter(_under(self._objects, key)), None)

    def entry(self, key: Key) -> Entry | None:
        """Return an object, our own last write included."""
        seen = self._seen(key)
        mine = self._written.get(key)
        if mine is None or seen is None or mine.value.uid != seen.uid:
            return seen
        return mine.value if mine.newer(seen.version, self.clock()) else seen

    def in_namespace(self, namespace: str) -> list[Entry]:
        """Return all objects of a namespace."""
        return _under(self._objects, namespace)

    def nodes(self) -> list[Entry]:
        """Return all OrgNodes of all tenants."""
        return _under(self._objects, "OrgNode")

    def namespaces(self) -> list[str]:
        """Return the namespaces that hold any object."""
        return sorted(key for key in self._objects or () if isinstance(key, str) and key != "OrgNode")

    def all_entries(self) -> list[Entry]:
        """Return every object as the watches brought it."""
        return [entry for name in self.namespaces() for entry in self.in_namespace(name)]

    def all_children(self) -> list[Child]:
        """Return every part of an agent as the watches brought it."""
        return [child for key in self._children or () for child in _under(self._children, key)]

    def children(self, namespace: str, agent: str) -> list[Child]:
        """Return what belongs to an agent, our own last writes included."""
        found = {child.identity: child for child in _under(self._children, (namespace, agent))}
        now = self.clock()
        for identity, mine in self._applied.get((namespace, agent), {}).items():
            seen = found.get(identity)
            if mine.newer(seen.version if seen else 0, now):
                found[identity] = mine.value
        return list(found.values())

    def wrote(self, entry: Entry) -> None:
        """Note what the API server answered to a status write of ours."""
        self._written[entry.key] = _Written(entry, entry.version, self.clock() + OWN_WRITES_SECONDS)

    def applied(self, child: Child) -> None:
        """Note what the API server answered when we applied a part of an agent."""
        mine = _Written(child, child.version, self.clock() + OWN_WRITES_SECONDS)
        self._applied.setdefault((child.namespace, child.agent), {})[child.identity] = mine

    def seen_entry(self, entry: Entry, gone: bool) -> None:
        """A watch brought this: older writes of ours need no memory."""
        mine = self._written.get(entry.key)
        if mine is not None and (gone or not mine.newer(entry.version, self.clock())):
            del self._written[entry.key]

    def seen_child(self, child: Child, gone: bool) -> None:
        """A watch brought this part of an agent, or its end."""
        group = self._applied.get((child.namespace, child.agent), {})
        mine = group.get(child.identity)
        if mine is not None and (gone or not mine.newer(child.version, self.clock())):
            del group[child.identity]
            if not group:
                self._applied.pop((child.namespace, child.agent), None)


def _under(index: Index[T] | None, key: object) -> list[T]:
    if index is None or key not in index:
        return []
    return list(index[key])
