"""Puts the operator's parts together; nothing runs yet."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from kopf._core.engines.indexing import OperatorIndexers  # an embedded operator may bring its own

from cadre_api.v1alpha1 import API_VERSION, KINDS
from cadre_operator.admission.keeper import Keeper
from cadre_operator.chart.book import ChartBook
from cadre_operator.controller import HttpController
from cadre_operator.kube.connection import Connection, connect
from cadre_operator.kube.dynamic import DynamicKube
from cadre_operator.kube.fields import items, text
from cadre_operator.kube.kinds import CHILD_KINDS
from cadre_operator.metrics import Metrics
from cadre_operator.settings import OperatorSettings
from cadre_operator.trust.keeper import Trust
from cadre_operator.watch.ages import WatchAges
from cadre_operator.watch.registry import on_object, on_part
from cadre_operator.watch.store import Store
from cadre_operator.watch.verify import Verifier
from cadre_operator.workqueue import WorkQueue
from cadre_operator.world import World

_SPACING_SECONDS = 0.05
_INDEXING_SECONDS = 1.0
"""The list precedes the watch; what it brought is in the indexes soon after."""


@dataclass(slots=True)
class Start:
    """Whether this replica knows the whole cluster; once it does, it stays so."""

    world: World
    ages: WatchAges
    watches: int
    _open_since: float = 0.0
    _over: bool = False

    def missing(self) -> str:
        """Return what is still missing; empty = nothing."""
        if self._over:
            return ""
        world = self.world
        if not world.seal_key:
            return "certificates are not there yet"
        if self.ages.watched() < self.watches:
            return f"{self.ages.watched()} of {self.watches} watches are open"
        self._open_since = self._open_since or world.clock()
        if world.clock() - self._open_since < _INDEXING_SECONDS:
            return "objects are being indexed"
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
    verifier: Verifier
    start: "Start"
    indexers: OperatorIndexers = field(default_factory=OperatorIndexers)

    def discard(self, body: Mapping[str, object]) -> None:
        """Take a phantom out of kopf's indexes and look at what that concerns."""
        self.indexers.discard(body)  # type: ignore[arg-type]
        if body["apiVersion"] == API_VERSION:
            on_object(self.world, body, gone=True, initial=False)
        else:
            on_part(self.world, body, gone=True)


async def assemble(settings: OperatorSettings, stack: AsyncExitStack) -> Parts:
    """Connect to the cluster and make the parts; the stack closes what was opened."""
    metrics = Metrics()
    ages = WatchAges(time.monotonic)
    connection = await connect(settings.kubeconfig, metrics.observe_request, ages.read)
    kube = DynamicKube(connection)
    stack.push_async_callback(kube.close)
    controller = _controller(settings, stack)
    world = _world(settings, kube, controller, metrics)
    keeper = Keeper(kube, settings.webhook, settings.namespace)
    contexts = (controller.context,) if controller is not None else ()
    trust = Trust(kube, settings.trust, settings.namespace, settings.cluster.ca_config_map, contexts)
    world.provide_trust, world.login_keys = trust.provide, lambda: trust.login_keys
    verifier = Verifier(kube, world.store, settings.namespaces)
    start = Start(world, ages, (len(KINDS) + len(CHILD_KINDS) + 1) * max(1, len(settings.namespaces)))
    world.started = lambda: not start.missing()
    parts = Parts(settings, world, connection, ages, keeper, trust, verifier, start)
    ages.relisted = verifier.relisted
    verifier.discard = parts.discard
    _watch(metrics, world, ages)
    return parts


def _world(
    settings: OperatorSettings, kube: DynamicKube, controller: HttpController | None, metrics: Metrics
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
