"""A tenant: compile what is written, find what that changes, have it looked at."""

import asyncio
import logging

from cadre_operator.chart.effective import counting
from cadre_operator.chart.evaluate import ChartState, affected, evaluate
from cadre_operator.keys import FREEZE, PUSH, Key, Priority
from cadre_operator.watch.entries import Entry
from cadre_operator.world import World

_LOG = logging.getLogger(__name__)
CHART = "Chart"


async def reconcile_chart(world: World, key: Key) -> None:
    """Bring a tenant's chart up to date and queue the objects for which that matters."""
    tenant = key.namespace
    entries = [e for name in world.book.namespaces(tenant) for e in world.store.in_namespace(name)]
    before = world.book.states.get(tenant)
    if world.book.tenant_of(tenant) != tenant or not entries:
        _forget(world, tenant)
        return
    if before is not None and before.fingerprints == {e.key: e.fingerprint for e in entries}:
        return
    after = await _compiled(world, tenant, entries, before)
    world.book.states[tenant] = after
    _queue(world, before, after)


async def _compiled(world: World, tenant: str, entries: list[Entry], before: ChartState | None) -> ChartState:
    started = world.clock()
    effective = counting(entries, world.seal_key)
    # pure and slow for thousands of agents: in a thread, so that probes and the lease are served meanwhile
    state = await asyncio.to_thread(evaluate, tenant, entries, effective, before, world.compiler)
    ended = world.clock()
    seconds = ended - started
    world.book.compiled[tenant] = ended, seconds
    world.metrics.compile_seconds.observe(seconds)
    _LOG.info(
        "chart compiled",
        extra={"tenant": tenant, "objects": len(entries), "problems": len(state.problems)},
    )
    return state


def _queue(world: World, before: ChartState | None, after: ChartState) -> None:
    if not world.leading:
        return
    known = before.fingerprints if before is not None else {}
    for key in affected(before, after):
        changed = before is not None and known.get(key) != after.fingerprints[key]
        world.objects.add(key, Priority.CHANGED if changed else _consequence(before))
    if before is None or after.snapshot is not before.snapshot:
        world.objects.add(Key(PUSH, after.tenant), Priority.CHANGED)
    if before is None or before.snapshot is None:
        world.objects.add(Key(FREEZE, after.tenant), Priority.CHANGED)


def _consequence(before: ChartState | None) -> Priority:
    return Priority.ROUTINE if before is None else Priority.AFFECTED


def _forget(world: World, tenant: str) -> None:
    world.book.states.pop(tenant, None)
    world.book.syncs.pop(tenant, None)
    world.book.compiled.pop(tenant, None)


def queue_everything(world: World) -> None:
    """Have everything looked at: after becoming the leader, after an overflow, and now and then."""
    for namespace in world.store.namespaces():
        world.charts.add(Key(CHART, world.book.tenant_of(namespace)), Priority.ROUTINE)
    for state in world.book.states.values():
        for key in state.fingerprints:
            world.objects.add(key, Priority.ROUTINE)
        world.objects.add(Key(PUSH, state.tenant), Priority.ROUTINE)
        world.objects.add(Key(FREEZE, state.tenant), Priority.ROUTINE)
