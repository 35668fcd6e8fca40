"""Writes statuses and their events: one request per change, none when nothing changed."""

import logging

from cadre_api.conditions import ConditionType
from cadre_api.v1alpha1 import API_VERSION
from cadre_core.canonical import digest
from cadre_operator.keys import Key, Priority
from cadre_operator.kube.port import KubeConflictError, KubeError, Ref
from cadre_operator.status.conditions import StatusChange, Transition
from cadre_operator.status.events import event, worth_telling
from cadre_operator.watch.entries import Entry
from cadre_operator.world import World

_COUNT_AFTER_SECONDS = 2.0
_INVALID = 422
_UNIQUE_LETTERS = 16
_LOG = logging.getLogger(__name__)


async def write_status(world: World, entry: Entry, change: StatusChange | None) -> None:
    """Write a status if there is anything to write, and tell of its transitions. Raises KubeError."""
    if change is None:
        return
    ref = Ref(API_VERSION, entry.key.kind, entry.key.namespace, entry.key.name)
    body: dict[str, object] = {"metadata": {"uid": entry.uid}, "status": change.status}
    try:
        stored = await world.kube.patch(ref, body, "status")
    except KubeError as error:
        if error.status == 404:
            return
        if error.status == _INVALID:
            await _tell_anyhow(world, entry, change.transitions)
        raise
    world.store.wrote(world.store.read(stored))
    _measure(world, entry, change.transitions)
    _queue_nodes(world, entry, change.transitions)
    for transition in worth_telling(entry.key.kind, change.transitions):
        await _tell(world, entry, transition, world.unique())


async def _tell_anyhow(world: World, entry: Entry, transitions: tuple[Transition, ...]) -> None:
    """An object from before a stricter schema may take no status at all: its owner learns by events, once."""
    for transition in worth_telling(entry.key.kind, transitions):
        once = digest({"of": entry.uid, "at": entry.generation, "why": transition.reason})
        await _tell(world, entry, transition, once[-_UNIQUE_LETTERS:])


async def _tell(world: World, entry: Entry, transition: Transition, unique: str) -> None:
    try:
        await world.kube.create(event(entry, transition, world.now(), unique))
    except KubeConflictError:
        return  # told before
    except KubeError as error:
        # an event is a courtesy: the status says the same
        _LOG.warning("event not written", extra={"object": entry.key.path, "reason": str(error)})


def _queue_nodes(world: World, entry: Entry, transitions: tuple[Transition, ...]) -> None:
    """Have the counters of the nodes above an agent looked at; many agents cost one look."""
    state = world.book.state_for(entry.key.namespace)
    agent = state.snapshot.agents.get(entry.key.path) if state and state.snapshot else None
    if agent is None or entry.key.kind != "Agent" or all(t.type != ConditionType.READY for t in transitions):
        return
    for path in agent.path:
        namespace, _, name = path.partition("/")
        world.objects.add(Key("OrgNode", namespace, name), Priority.ROUTINE, _COUNT_AFTER_SECONDS)


def _measure(world: World, entry: Entry, transitions: tuple[Transition, ...]) -> None:
    for transition in transitions:
        if transition.type == ConditionType.READY and transition.status == "True":
            since = world.first_seen.pop(entry.key, None)
            if since is not None and entry.key.kind == "Agent":
                world.metrics.ready_seconds.observe(world.clock() - since)
