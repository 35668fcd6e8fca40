"""Runs the queues: so many workers, each failure counted and retried, nothing fatal."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from cadre_operator.controller import ControllerError
from cadre_operator.keys import FREEZE, PUSH, Key
from cadre_operator.kube.port import KubeError
from cadre_operator.reconcile.agent import reconcile_agent
from cadre_operator.reconcile.chart import CHART, queue_everything, reconcile_chart
from cadre_operator.reconcile.freeze import reconcile_freeze
from cadre_operator.reconcile.push import reconcile_push
from cadre_operator.reconcile.resource import reconcile_resource
from cadre_operator.workqueue import WorkQueue
from cadre_operator.world import World

_LOG = logging.getLogger(__name__)
Reconcile = Callable[[World, Key], Awaitable[None]]
_RECONCILERS: Mapping[str, Reconcile] = {
    "Agent": reconcile_agent,
    CHART: reconcile_chart,
    PUSH: reconcile_push,
    FREEZE: reconcile_freeze,
}


async def work(world: World, queue: WorkQueue) -> None:
    """Take keys and reconcile them until cancelled."""
    while True:
        key = await queue.get()
        try:
            await _attempt(world, queue, key)
        except asyncio.CancelledError:
            queue.done(key)
            raise


async def _attempt(world: World, queue: WorkQueue, key: Key) -> None:
    started = world.clock()
    failed, wait, result = True, 0.0, "error"
    try:
        await _RECONCILERS.get(key.kind, reconcile_resource)(world, key)
        failed, result = False, "done"
    except KubeError as error:
        wait, result = error.retry_after, error.reason
        if error.busy:
            queue.pause(error.retry_after or 1.0)
        _LOG.warning("reconcile failed", extra=_about(key, queue, error))
    except ControllerError as error:
        result = error.reason
        _LOG.warning("reconcile failed", extra=_about(key, queue, error))
    except Exception as error:
        # whatever it is, it must not end the worker: the key comes again, more and more rarely
        _LOG.exception("reconcile raised", extra=_about(key, queue, error))
    queue.done(key, failed, wait)
    world.metrics.reconciles.labels(key.kind, result).inc()
    world.metrics.reconcile_seconds.labels(key.kind).observe(world.clock() - started)


def _about(key: Key, queue: WorkQueue, error: Exception) -> dict[str, object]:
    return {"kind": key.kind, "object": key.path, "failures": queue.failures(key) + 1, "reason": str(error)}


async def lead(world: World, count: int, resync_seconds: float) -> None:
    """Be the one that writes, until cancelled."""
    world.leading = True
    world.metrics.leading.set(1)
    try:
        async with asyncio.TaskGroup() as group:
            queue_everything(world)
            for _ in range(count):
                group.create_task(work(world, world.objects))
            group.create_task(_resync(world, resync_seconds))
    finally:
        world.leading = False
        world.metrics.leading.set(0)
        world.objects.clear()


async def _resync(world: World, seconds: float) -> None:
    due = world.clock() + seconds
    while True:
        await asyncio.sleep(min(1.0, seconds))
        if world.objects.overflowed and not len(world.objects):
            world.objects.overflowed = False
            queue_everything(world)
        if world.clock() >= due:
            due = world.clock() + seconds
            queue_everything(world)
