"""Everything that reconciliation reads and writes, made once and handed to all workers."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from cadre_api.protocol.freeze import DeclaredFreeze
from cadre_core.compile import compile_chart
from cadre_core.manifests.settings import ClusterSettings
from cadre_operator.agents.made import Made
from cadre_operator.agents.replicas import Demand
from cadre_operator.chart.book import ChartBook
from cadre_operator.chart.evaluate import Compiler
from cadre_operator.controller import Controller
from cadre_operator.keys import Key
from cadre_operator.kube.port import Kube
from cadre_operator.metrics import Metrics
from cadre_operator.watch.store import Store
from cadre_operator.workqueue import WorkQueue


def rfc3339() -> str:
    """Return now, in UTC, as Kubernetes writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _nothing_to_provide(namespace: str) -> None:
    return None


@dataclass(slots=True)
class World:
    """The ports and memories of one operator."""

    kube: Kube
    store: Store
    book: ChartBook
    charts: WorkQueue
    """Tenants to compile; every replica works on it."""
    objects: WorkQueue
    """Objects to reconcile; the leader alone works on it."""
    controller: Controller | None
    metrics: Metrics
    cluster: ClusterSettings
    clock: Callable[[], float]
    """Monotonic seconds."""
    seal_key: bytes = b""
    """Empty until the certificates are there: then no stamp counts."""
    login_keys: Callable[[], bytes] = lambda: b""
    """What codes for signing in are signed with; empty while it is not there."""
    provide_trust: Callable[[str], Awaitable[None]] = _nothing_to_provide
    """Brings the authority that guards believe to a namespace. Raises KubeError."""
    exempt: frozenset[str] = frozenset()
    """Namespaces that are not served, since admission does not judge what is written there."""
    rolling_percent: int = 10
    unreachable_seconds: float = 60.0
    now: Callable[[], str] = rfc3339
    unique: Callable[[], str] = field(default=lambda: secrets.token_hex(8))
    sending: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(50))
    """Bounds how many parts of all agents are on their way at once: the API server divides what it can do."""
    leading: bool = False
    started: Callable[[], bool] = lambda: True
    """Whether all that the cluster holds was read once."""
    reviewed: dict[str, str] = field(default_factory=dict)
    """Uid of a part -> foreign writers whose changes were answered."""
    rolling: dict[str, set[Key]] = field(default_factory=dict)
    """Tenant -> agents whose pods are being replaced."""
    failed_rollouts: dict[str, set[Key]] = field(default_factory=dict)
    demand: dict[str, Demand] = field(default_factory=dict)
    frozen: dict[str, str] = field(default_factory=dict)
    """Agent -> why it is frozen, as the controller said; empty = it is not."""
    declared: dict[Key, DeclaredFreeze] = field(default_factory=dict)
    """Objects that say in their spec that they are frozen."""
    made: dict[Key, Made] = field(default_factory=dict)
    """What the objects of each agent are, by digest."""
    first_seen: dict[Key, float] = field(default_factory=dict)
    counted: dict[Key, float] = field(default_factory=dict)
    """Node -> when its counters were last written."""
    unreachable: dict[str, float] = field(default_factory=dict)
    """Tenant -> since when its controller does not answer."""

    @property
    def compiler(self) -> Compiler:
        """Compiles charts for what this cluster offers."""
        return partial(compile_chart, node_analyzer=bool(self.cluster.analyzer_host))
