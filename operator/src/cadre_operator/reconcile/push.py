"""Sends a tenant's chart to the controller and remembers what it said."""

import logging

from cadre_api.conditions import ConditionType
from cadre_api.v1alpha1 import Resource
from cadre_operator.agents.consent import judge_consent
from cadre_operator.chart.evaluate import ChartState
from cadre_operator.chart.waiting import without_waiting
from cadre_operator.controller import ChartPush, ChartRejectedError, ControllerError
from cadre_operator.keys import Key, Priority
from cadre_operator.status.common import Sync, SyncState
from cadre_operator.status.conditions import synced_generation
from cadre_operator.world import World

_LOG = logging.getLogger(__name__)


async def reconcile_push(world: World, key: Key) -> None:
    """Send the chart in force of a tenant. Raises ControllerError, after that is noted."""
    state = world.book.states.get(key.namespace)
    if state is None or state.snapshot is None:
        return
    failure: ControllerError | None = None
    try:
        sync = await _send(world, state)
    except ControllerError as error:
        failure = error
        sync = _unreachable(world, state, str(error))
    else:
        world.unreachable.pop(state.tenant, None)
    _note(world, state, sync)
    if failure is not None:
        raise failure


async def _send(world: World, state: ChartState) -> SyncState:
    if world.controller is None:
        return SyncState(Sync.ABSENT)
    try:
        await world.controller.push(chart_push(world, state))
    except ChartRejectedError as error:
        return SyncState(Sync.REJECTED, state.revision, str(error))
    return SyncState(Sync.SYNCED, state.revision)


def _unreachable(world: World, state: ChartState, message: str) -> SyncState:
    since = world.unreachable.setdefault(state.tenant, world.clock())
    lasting = world.clock() - since >= world.unreachable_seconds
    return SyncState(Sync.UNREACHABLE, "", message, lasting)


def chart_push(world: World, state: ChartState) -> ChartPush:
    """Divide a chart into what is agreed to and what waits.

    Agents that wait are sent apart: a controller that does not know what that means leaves them out, which
    takes rights away rather than giving any.
    """
    held: dict[Key, Resource] = {}
    consented: dict[Key, str] = {}
    for key, model in state.models.items():
        rights = _waiting(world, state, key)
        if rights is not None:
            held[key], consented[key] = model, rights
    models = without_waiting(state.models, held)
    return ChartPush(state.tenant, state.revision, models, held, consented)


def _waiting(world: World, state: ChartState, key: Key) -> str | None:
    """Return the rights that a waiting agent serves with, empty when none; None when it does not wait."""
    agent = state.snapshot.agents.get(key.path) if state.snapshot and key.kind == "Agent" else None
    entry = world.store.entry(key)
    if agent is None or entry is None or state.snapshot is None:
        return None
    serving = world.book.serving.get(key)
    consent = judge_consent(entry, state.snapshot, agent, serving, world.seal_key)
    if consent.standing.may_apply:
        return None
    return consent.record.rights_hash if consent.record is not None else ""


def _note(world: World, state: ChartState, sync: SyncState) -> None:
    before = world.book.syncs.get(state.tenant, SyncState())
    world.book.syncs[state.tenant] = sync
    told_all = sync.state is before.state and sync.lasting == before.lasting
    if not told_all:
        _LOG.info("controller answered", extra={"tenant": state.tenant, "state": sync.state.value})
    for key in state.fingerprints:
        entry = world.store.entry(key)
        if entry is None:
            continue
        written = synced_generation(entry.status, ConditionType.CONTROLLER_SYNCED) == entry.generation
        if not told_all or (not written and before != sync):
            world.objects.add(key, Priority.AFFECTED)
