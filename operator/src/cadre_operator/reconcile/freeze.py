"""Tells the controller what the objects of a tenant say in `spec.freeze`.

It does not wait for the chart: what is wrong elsewhere in a chart must not keep anything from being stopped.
"""

import logging

from cadre_api.protocol.freeze import DeclaredFreeze, DeclaredFreezes
from cadre_api.v1alpha1 import Agent, OrgNode
from cadre_core.freeze import declared_freezes
from cadre_operator.admission.stamps import FROZEN_BY, open_freeze
from cadre_operator.chart.effective import counting
from cadre_operator.controller import ChartRejectedError
from cadre_operator.keys import FREEZE, Key, Priority
from cadre_operator.watch.entries import Entry
from cadre_operator.world import World

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 2.0


def look_at_freeze(world: World, entry: Entry, gone: bool) -> None:
    """Have the controller told when an object says something else of freezing than before."""
    before = world.declared.get(entry.key)
    now = None if gone else _said(world, entry, before)
    if now is None:
        world.declared.pop(entry.key, None)
    else:
        world.declared[entry.key] = now
    if now != before and world.leading:
        world.objects.add(Key(FREEZE, world.book.tenant_of(entry.key.namespace)), Priority.CHANGED)


def _said(world: World, entry: Entry, before: DeclaredFreeze | None) -> DeclaredFreeze | None:
    """Return what an object says; one that cannot be read says what it said; a thaw that waits is none."""
    if entry.model is None:
        return before
    former = counting([entry], world.seal_key).get(entry.key)
    models = [model for model in (entry.model, former) if isinstance(model, Agent | OrgNode)]
    found = declared_freezes(models)
    if not found:
        return None
    subject = f"{entry.key.kind} {entry.key.path}"
    stamp = open_freeze(entry.notes.get(FROZEN_BY, ""), subject, world.seal_key)
    return found[0].model_copy(update={"by": stamp.by if stamp is not None else ""})


async def reconcile_freeze(world: World, key: Key) -> None:
    """Tell the controller all that a tenant's objects want frozen. Raises ControllerError."""
    state = world.book.states.get(key.namespace)
    if world.controller is None or state is None or state.snapshot is None:
        return  # without a chart in force there is no tenant at the controller, and so nothing that runs
    namespaces = set(world.book.namespaces(key.namespace))
    items = [said for name, said in sorted(world.declared.items()) if name.namespace in namespaces]
    try:
        await world.controller.declare(key.namespace, DeclaredFreezes(items=tuple(items)))
    except ChartRejectedError as error:
        _LOG.warning("freezes not taken", extra={"tenant": key.namespace, "reason": str(error)})
        world.objects.add(key, Priority.ROUTINE, _RETRY_SECONDS)
