"""An agent's parts on their way: what goes together, what waits for what, and whose failure is told."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from typing_extensions import override

from cadre_core.manifests.settings import ClusterSettings
from cadre_operator.chart.book import ChartBook
from cadre_operator.kube.fields import Json
from cadre_operator.kube.port import KubeError, Ref
from cadre_operator.metrics import Metrics
from cadre_operator.reconcile.parts import NameTakenError, send_parts
from cadre_operator.watch.store import Store
from cadre_operator.workqueue import WorkQueue
from cadre_operator.world import World
from tests.unit.operator.fakes import Clock, MemoryKube
from tests.unit.operator.test_agents import desired

_PATIENCE = 60.0
_BEFORE = ["ServiceAccount", "NetworkPolicy", "ConfigMap", "Service"]


@dataclass
class SlowKube(MemoryKube):
    """A cluster that answers an apply when a test lets it."""

    refusals: dict[str, KubeError] = field(default_factory=dict)
    """Kind -> what an apply of it is answered."""
    under_way: list[str] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    @override
    async def apply(self, obj: Json) -> Json:
        """Apply, when let."""
        kind = Ref.of(obj).kind
        await self._move(lambda: self.under_way.append(kind))
        await self.open.wait()
        await self._move(lambda: self.under_way.remove(kind))
        if kind in self.refusals:
            self.requests.append(("refused", Ref.of(obj)))
            raise self.refusals[kind]
        return await super().apply(obj)

    async def _move(self, step: Callable[[], None]) -> None:
        async with self._moved:
            step()
            self._moved.notify_all()

    async def reached(self, kinds: list[str]) -> None:
        """Wait until exactly these are on their way."""
        async with asyncio.timeout(_PATIENCE), self._moved:
            await self._moved.wait_for(lambda: sorted(self.under_way) == sorted(kinds))


def world(kube: MemoryKube, at_once: int = 50) -> World:
    clock = Clock()
    settings = ClusterSettings("guard@x", "goose@x", "host", "10.0.0.1")
    queues = (WorkQueue(clock), WorkQueue(clock))
    sending = asyncio.Semaphore(at_once)
    return World(kube, Store(clock), ChartBook(), *queues, None, Metrics(), settings, clock, sending=sending)


def asked(kube: MemoryKube) -> list[str]:
    return [ref.kind for _, ref in kube.requests]


async def test_all_but_the_workload_go_together_and_the_workload_last() -> None:
    kube = SlowKube()
    sent = asyncio.create_task(send_parts(world(kube), desired(), ()))
    await kube.reached(_BEFORE)
    assert asked(kube) == [], "none waited for another's answer"
    kube.open.set()
    await sent
    assert sorted(asked(kube)[:-1]) == sorted(_BEFORE)
    assert asked(kube)[-1] == "StatefulSet"


async def test_what_is_on_its_way_is_bounded_over_all_agents() -> None:
    kube = SlowKube()
    some = world(kube, at_once=3)
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(send_parts(some, desired(), ()))
        await kube.reached(_BEFORE[:3])
        assert some.sending.locked()
        kube.open.set()
    assert not some.sending.locked()
    assert asked(kube).count("StatefulSet") == 4


async def test_after_a_failure_the_workload_is_not_sent_and_the_first_in_order_is_told() -> None:
    kube = SlowKube(
        refusals={"Service": KubeError("late", 403), "NetworkPolicy": NameTakenError("taken", 409)}
    )
    kube.open.set()
    some = world(kube)
    for _ in range(2):
        with pytest.raises(NameTakenError, match="taken"):
            await send_parts(some, desired(), {("NetworkPolicy", "agent-a-1")})
    stored = {ref.kind for ref in kube.objects}
    assert stored == {"ServiceAccount", "ConfigMap"}, "what nothing ails is there"


async def test_a_server_that_asks_for_fewer_requests_gets_no_more() -> None:
    kube = SlowKube(refusals={"ServiceAccount": KubeError("busy", 429, 2.0), "Service": KubeError("no", 403)})
    kube.open.set()
    with pytest.raises(KubeError, match="busy") as raised:
        await send_parts(world(kube, at_once=1), desired(), ())
    assert raised.value.busy and raised.value.retry_after == 2.0
    assert asked(kube) == ["ServiceAccount"]


async def test_a_busy_server_is_heard_among_other_failures() -> None:
    kube = SlowKube(refusals={"ServiceAccount": KubeError("no", 403), "Service": KubeError("busy", 429)})
    kube.open.set()
    with pytest.raises(KubeError, match="busy"):
        await send_parts(world(kube), desired(), ())


async def test_who_ends_the_work_ends_what_is_on_its_way() -> None:
    kube = SlowKube()
    some = world(kube)
    sent = asyncio.create_task(send_parts(some, desired(), ()))
    await kube.reached(_BEFORE)
    sent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sent
    assert asked(kube) == []
    async with asyncio.timeout(_PATIENCE), some.sending:
        assert not some.sending.locked(), "its places are free again"
