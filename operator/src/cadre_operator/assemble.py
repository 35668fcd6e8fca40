"""Puts the operator's parts together; nothing runs yet."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

from cadre_operator.admission.keeper import Keeper
from cadre_operator.chart.book import ChartBook
from cadre_operator.controller import HttpController
from cadre_operator.kube.connection import Connection, connect
from cadre_operator.kube.fields import items, text
from cadre_operator.kube.rest import RestKube
from cadre_operator.metrics import Metrics
from cadre_operator.settings import OperatorSettings
from cadre_operator.trust.keeper import Trust
from cadre_operator.watch.ages import WatchAges
from cadre_operator.watch.intake import Intake
from cadre_operator.watch.registry import LISTS
from cadre_operator.watch.store import Store
from cadre_operator.workqueue import WorkQueue
from cadre_operator.world import World

_SPACING_SECONDS = 0.05


@dataclass(slots=True)
class Start:
    """Whether this replica knows the whole cluster; once it does, it stays so."""

    world: World
    intake: Intake
    _over: bool = False

    def missing(self) -> str:
        """Return what is still missing; empty = nothing."""
        if self._over:
            return ""
        world = self.world
        if not world.seal_key:
            return "certificates are not there yet"
        if unread := self.intake.missing():
            return unread
        if any(world.book.state_for(name) is None for name in world.store.namespaces()):
            return "charts are being compiled"
        self._over = True
        return ""


@dataclass(slots=True)
class Parts:
    """What one operator consists of."""

    settings: OperatorSettings
    world: World
    connection: Connection
    ages: WatchAges
    keeper: Keeper
    trust: Trust
    intake: Intake
    start: Start


async def assemble(settings: OperatorSettings, stack: AsyncExitStack) -> Parts:
    """Connect to the cluster and make the parts; the stack closes what was opened."""
    metrics = Metrics()
    ages = WatchAges(time.monotonic)
    connection = await connect(settings.kubeconfig, metrics.observe_request, ages.read)
    kube = RestKube(connection)
    stack.push_async_callback(kube.close)
    controller = _controller(settings, stack)
    world = _world(settings, kube, controller, metrics)
    keeper = Keeper(kube, settings.webhook, settings.namespace)
    contexts = (controller.context,) if controller is not None else ()
    trust = Trust(kube, settings.trust, settings.namespace, settings.cluster.ca_config_map, contexts)
    world.provide_trust, world.login_keys = trust.provide, lambda: trust.login_keys
    intake = Intake(world, LISTS * max(1, len(settings.namespaces)))
    start = Start(world, intake)
    world.started = lambda: not start.missing()
    _watch(metrics, world, ages)
    return Parts(settings, world, connection, ages, keeper, trust, intake, start)


def _world(
    settings: OperatorSettings, kube: RestKube, controller: HttpController | None, metrics: Metrics
) -> World:
    return World(
        kube=kube,
        store=Store(time.monotonic),
        book=ChartBook(),
        charts=WorkQueue(time.monotonic),
        objects=WorkQueue(time.monotonic, settings.queue_limit, _SPACING_SECONDS),
        controller=controller,
        metrics=metrics,
        cluster=settings.cluster,
        clock=time.monotonic,
        sending=asyncio.Semaphore(settings.workers),
        exempt=frozenset(settings.webhook.exempt),
        rolling_percent=settings.rolling_percent,
    )


def _controller(settings: OperatorSettings, stack: AsyncExitStack) -> HttpController | None:
    if not settings.controller_url:
        return None
    controller = HttpController(
        settings.controller_url, settings.controller_token_file, settings.controller_ca_file
    )
    stack.push_async_callback(controller.close)
    return controller


def _watch(metrics: Metrics, world: World, ages: WatchAges) -> None:
    metrics.watch("cadre_queue_depth", "Keys that wait", lambda: float(len(world.objects)))
    metrics.watch("cadre_queue_running", "Keys that are worked on", lambda: float(world.objects.running))
    metrics.watch("cadre_queue_oldest_seconds", "Age of the oldest ready key", world.objects.oldest)
    metrics.watch("cadre_watch_silence_seconds", "Longest silence of a watch", lambda: _silence(ages))
    metrics.watch_conditions(lambda: Counter(_conditions(world.store)))


def _conditions(store: Store) -> Iterator[tuple[str, str, str]]:
    for entry in store.all_entries():
        for condition in items(entry.status, "conditions"):
            yield entry.key.kind, text(condition, "type"), text(condition, "status")


def _silence(ages: WatchAges) -> float:
    return max(ages.ages().values(), default=0.0)
