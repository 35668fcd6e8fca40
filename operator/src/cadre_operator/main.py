"""Runs the operator until it is told to stop."""

import asyncio
import functools
import logging
import signal
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import kopf
from aiohttp import web

from cadre_operator.admission.handlers import register_admission
from cadre_operator.admission.server import AdmissionServer
from cadre_operator.assemble import Parts, assemble
from cadre_operator.demand import watch_demand
from cadre_operator.kube.lease import Elector
from cadre_operator.kube.port import KubeError
from cadre_operator.probes import Health, application
from cadre_operator.reconcile.chart import queue_everything
from cadre_operator.settings import OperatorSettings
from cadre_operator.trust.addresses import located
from cadre_operator.watch.registry import configure, register
from cadre_operator.watch.streams import read_by
from cadre_operator.workers import lead, work

_LOG = logging.getLogger(__name__)
_CHART_WORKERS = 2
_START_RETRY_SECONDS = 2.0
_STOP_SECONDS = 20.0
_LOCATE_SECONDS = 60.0


async def serve(settings: OperatorSettings) -> None:
    """Run the operator until SIGTERM or SIGINT, or until one of its parts fails."""
    stop = asyncio.Event()
    _on_signals(stop)
    async with AsyncExitStack() as stack:
        parts = await assemble(settings, stack)
        await _serve_probes(parts, stack)
        if await _certificates(parts, stop):
            await _run(parts, stop)
    _LOG.info("stopped")


def _on_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _run(parts: Parts, stop: asyncio.Event) -> None:
    """Run everything; when one part ends, end the others: first the writers, then the watches."""
    writers = asyncio.create_task(_elector(parts).run(functools.partial(_lead, parts)))
    others = [
        asyncio.create_task(part)
        for part in (
            parts.keeper.run(),
            parts.trust.run(),
            _locate(parts),
            *(_compile(parts) for _ in range(_CHART_WORKERS)),
        )
    ]
    kopf_stop = asyncio.Event()
    watches = asyncio.create_task(_kopf(parts, kopf_stop, stop))
    waiter = asyncio.create_task(stop.wait())
    everything: list[asyncio.Task[Any]] = [writers, *others, watches, waiter]
    await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
    # kopf waits for, and then cancels, every task that is younger than itself: ours have to be gone by then
    await _end(writers)
    for task in others:
        await _end(task)
    kopf_stop.set()
    await asyncio.wait([watches], timeout=_STOP_SECONDS)
    await _end(watches)
    await _end(waiter)
    for task in everything:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def _end(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.wait([task])


def _elector(parts: Parts) -> Elector:
    settings = parts.settings
    return Elector(
        parts.world.kube,
        (settings.namespace, settings.lease_name),
        settings.identity,
        settings.lease_seconds,
        time.monotonic,
        _micro_time,
    )


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def _lead(parts: Parts) -> None:
    settings = parts.settings
    async with asyncio.TaskGroup() as group:
        group.create_task(lead(parts.world, settings.workers, settings.resync_seconds))
        group.create_task(watch_demand(parts.world))


async def _compile(parts: Parts) -> None:
    """Compile charts once all that they consist of was read: half a chart is another chart."""
    await parts.intake.complete.wait()
    await work(parts.world, parts.world.charts)


async def _kopf(parts: Parts, kopf_stop: asyncio.Event, stop: asyncio.Event) -> None:
    settings = parts.settings
    registry = kopf.OperatorRegistry()
    register(registry)
    register_admission(registry, parts.world, settings.identities, settings.webhook.timeout)

    async def login(**_: Any) -> kopf.AiohttpSession:
        session = parts.connection.session()
        return kopf.AiohttpSession(server=parts.connection.server, aiohttp_session=session)

    kopf.on.login(registry=registry)(login)
    options = kopf.OperatorSettings()
    configure(options, namespaced=bool(settings.namespaces))
    hook = settings.webhook
    options.admission.server = AdmissionServer(hook.listen, hook.port, parts.keeper.context)
    read_by(parts.intake)
    existing = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=options,
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        stop_flag=kopf_stop,
    )
    _on_signals(stop)  # kopf took the signals for itself; we end in an order of our own
    await kopf.run_tasks(tasks, ignored=existing)


async def _serve_probes(parts: Parts, stack: AsyncExitStack) -> None:
    settings = parts.settings
    health = Health(
        time.monotonic, parts.ages.ages, settings.watch_age_seconds, parts.start.missing, parts.world.metrics
    )
    runner = web.AppRunner(application(health), access_log=None, handle_signals=False)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, settings.probe_listen, settings.probe_port).start()
    lag = asyncio.create_task(health.measure_lag())
    stack.push_async_callback(_end, lag)


async def _locate(parts: Parts) -> None:
    """Follow a controller whose Service was made anew; the pods that knew its old address are replaced."""
    world, settings = parts.world, parts.settings
    while True:
        await asyncio.sleep(_LOCATE_SECONDS)
        try:
            found = await located(world.kube, settings.cluster, settings.trust, settings.namespace)
        except KubeError as error:
            _LOG.warning("addresses not read", extra={"reason": str(error)})
            continue
        if found != world.cluster:
            world.cluster = found
            queue_everything(world)


async def _certificates(parts: Parts, stop: asyncio.Event) -> bool:
    """Wait for valid certificates and for addresses; False when told to stop meanwhile."""
    world, settings = parts.world, parts.settings
    while not stop.is_set():
        try:
            await parts.keeper.ensure(datetime.now(UTC))
            await parts.trust.ensure(datetime.now(UTC))
            world.cluster = await located(world.kube, settings.cluster, settings.trust, settings.namespace)
        except KubeError as error:
            _LOG.warning("waiting for the API server", extra={"reason": str(error)})
            await asyncio.sleep(_START_RETRY_SECONDS)
        else:
            world.seal_key = parts.keeper.seal_key
            return True
    return False
