"""Sends the parts of an agent, as many as may at once, and never takes over what somebody else made.

A forced apply would: it adds our fields and our owner reference to whatever is there, and with the agent that
object would be deleted.
"""

import asyncio
from collections.abc import Collection, Iterable

from cadre_operator.kube.fields import Json, mapping, text
from cadre_operator.kube.port import KubeConflictError, KubeError, Ref
from cadre_operator.watch.entries import child_of
from cadre_operator.world import World

_WORKLOAD = "StatefulSet"
_NEVER_STORED = "1"
"""The first revision of a store, which no object has: an apply that names it creates or conflicts."""


class NameTakenError(KubeError):
    """An object of somebody else has the name of a part."""

    reason = "NameTaken"


async def send_parts(world: World, objects: Iterable[Json], known: Collection[tuple[str, str]]) -> None:
    """Apply parts together, and the workload after them, when all are there: nothing runs with half a seal.

    `known` = kind and name of those that are there and ours. Raises KubeError, NameTakenError among them: of
    several the first in order, so that one state of the cluster has one message.
    """
    wanted = tuple(objects)
    await _together(world, [obj for obj in wanted if text(obj, "kind") != _WORKLOAD], known)
    await _together(world, [obj for obj in wanted if text(obj, "kind") == _WORKLOAD], known)


async def _together(world: World, objects: Iterable[Json], known: Collection[tuple[str, str]]) -> None:
    failures: dict[int, KubeError] = {}
    async with asyncio.TaskGroup() as group:
        for place, obj in enumerate(objects):
            there = (text(obj, "kind"), text(obj, "metadata", "name")) in known
            group.create_task(_in_turn(world, obj, there, place, failures))
    if failures:
        raise failures[min(failures, key=lambda place: (not failures[place].busy, place))]


async def _in_turn(world: World, obj: Json, known: bool, place: int, failures: dict[int, KubeError]) -> None:
    async with world.sending:
        if any(failure.busy for failure in failures.values()):
            return  # one more request to a server that asked for fewer
        try:
            await _send(world, obj, known)
        except KubeError as error:
            failures[place] = error


async def _send(world: World, obj: Json, known: bool) -> None:
    child = child_of(await (world.kube.apply(obj) if known else _first(world, obj)))
    world.store.applied(child)
    world.reviewed[child.uid] = child.foreign


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
