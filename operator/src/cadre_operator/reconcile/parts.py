"""Sends the parts of an agent, and never takes over what somebody else made under the same name.

A forced apply would: it adds our fields and our owner reference to whatever is there, and with the agent that
object would be deleted.
"""

from cadre_operator.kube.fields import Json, mapping, text
from cadre_operator.kube.port import KubeConflictError, KubeError, Ref
from cadre_operator.watch.entries import Child, child_of
from cadre_operator.world import World

_NEVER_STORED = "1"
"""The first revision of a store, which no object has: an apply that names it creates or conflicts."""


class NameTakenError(KubeError):
    """An object of somebody else has the name of a part."""

    reason = "NameTaken"


async def send_part(world: World, obj: Json, known: bool) -> Child:
    """Apply a part; `known` = it is there and ours. Raises KubeError, NameTakenError among them."""
    stored = await (world.kube.apply(obj) if known else _first(world, obj))
    child = child_of(stored)
    world.store.applied(child)
    world.reviewed[child.uid] = child.foreign
    return child


async def _first(world: World, obj: Json) -> Json:
    try:
        return await world.kube.apply(
            {**obj, "metadata": {**_metadata(obj), "resourceVersion": _NEVER_STORED}}
        )
    except KubeConflictError:
        there = await world.kube.get(Ref.of(obj))
    if there is not None and not child_of(there).ours:
        raise NameTakenError(_message(there), 409)
    return await world.kube.apply(obj)  # ours, and we had not seen it yet


def _metadata(obj: Json) -> Json:
    return dict(mapping(obj, "metadata"))


def _message(there: Json) -> str:
    what = f"{text(there, 'kind')} {text(there, 'metadata', 'name')}"
    return f"{what} is there and was not made by Cadre: delete or rename it, or give the agent another name"
