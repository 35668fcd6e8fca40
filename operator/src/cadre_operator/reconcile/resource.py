"""Every kind but Agent: nothing to make, only to say how it stands."""

from cadre_api.conditions import ConditionType
from cadre_operator.chart.effective import held
from cadre_operator.chart.evaluate import ChartState
from cadre_operator.keys import Key, Priority
from cadre_operator.kube.fields import mapping, number, text
from cadre_operator.reconcile.chart import CHART
from cadre_operator.reconcile.write import write_status
from cadre_operator.status.common import SyncState
from cadre_operator.status.conditions import carried
from cadre_operator.status.resource import ResourceInput, resource_status
from cadre_operator.watch.entries import Entry
from cadre_operator.world import World

COUNTS_SECONDS = 300.0
"""Counters of nodes are for people: they are written at most this often."""


async def reconcile_resource(world: World, key: Key) -> None:
    """Bring the status of one object up to date. Raises KubeError."""
    entry = world.store.entry(key)
    if entry is None or entry.deleting:
        world.counted.pop(key, None)
        return
    state = world.book.state_for(key.namespace)
    if state is None or state.fingerprints.get(key) != entry.fingerprint:
        world.charts.add(Key(CHART, world.book.tenant_of(key.namespace)))
        return
    given = ResourceInput(
        entry=entry,
        problems=state.problems.get(key, ()),
        in_force=key in state.in_force,
        waiting=held(entry, world.seal_key),
        sync=world.book.syncs.get(state.tenant, SyncState()),
        revision=state.revision,
        now=world.now(),
        node=state.snapshot.nodes.get(key.path) if state.snapshot and key.kind == "OrgNode" else None,
        counts=_counts(world, state, entry) if key.kind == "OrgNode" else None,
    )
    await write_status(world, entry, resource_status(given))


def _counts(world: World, state: ChartState, entry: Entry) -> tuple[int, int] | None:
    """Return the counters when they differ and it is time; else have the node looked at when it is."""
    if state.snapshot is None:
        return None
    agents = [a.key for a in state.snapshot.agents.values() if entry.key.path in a.path]
    counts = (len(agents), sum(_is_ready(world, path) for path in agents))
    written = mapping(entry.status, "agents")
    if written and counts == (number(written, "total"), number(written, "ready")):
        return counts
    # what an earlier leader wrote counts as written just now, so that a restart writes nothing
    since = world.counted.setdefault(entry.key, world.clock()) if written else world.clock()
    wait = since + COUNTS_SECONDS - world.clock()
    if written and wait > 0:
        world.objects.add(entry.key, Priority.ROUTINE, wait)
        return None
    world.counted[entry.key] = world.clock()
    return counts


def _is_ready(world: World, path: str) -> bool:
    namespace, _, name = path.partition("/")
    entry = world.store.entry(Key("Agent", namespace, name))
    return entry is not None and text(carried(entry.status, ConditionType.READY), "status") == "True"
