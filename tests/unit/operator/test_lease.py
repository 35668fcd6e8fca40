"""Leader election: one leads, another follows, clocks need not agree."""

import asyncio

import pytest

from cadre_operator.kube.fields import text
from cadre_operator.kube.lease import Elector
from cadre_operator.kube.port import KubeError, Ref
from tests.unit.operator.fakes import Clock, MemoryKube

LEASE = ("cadre-system", "cadre-operator")
REF = Ref("coordination.k8s.io/v1", "Lease", *LEASE)


def elector(kube: MemoryKube, who: str, clock: Clock) -> Elector:
    """A candidate whose lease lasts 15 s of its own clock."""
    return Elector(kube, LEASE, who, 15.0, clock, lambda: f"t{clock.now}")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without long waits."""
    monkeypatch.setattr(Elector, "_retry", property(lambda _: 0.01))


async def until(test: object) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(60):
        while not test():  # type: ignore[operator]
            await asyncio.sleep(0.005)


def holder(kube: MemoryKube) -> str:
    """Who holds the lease."""
    return text(kube.objects.get(REF), "spec", "holderIdentity")


async def stay() -> None:
    """Lead for ever."""
    await asyncio.Event().wait()


async def end(task: "asyncio.Task[None]") -> None:
    """End a candidate."""
    task.cancel()
    await asyncio.wait([task])


async def test_the_first_leads_and_the_second_waits_until_it_is_released() -> None:
    kube, clock = MemoryKube(), Clock()
    one = asyncio.create_task(elector(kube, "one", clock).run(stay))
    await until(lambda: holder(kube) == "one")
    two = asyncio.create_task(elector(kube, "two", clock).run(stay))
    await asyncio.sleep(0.05)
    assert holder(kube) == "one"
    await end(one)
    await until(lambda: holder(kube) == "two")
    await end(two)
    assert holder(kube) == ""


async def test_silence_is_measured_by_the_watcher() -> None:
    kube, clock = MemoryKube(), Clock()
    dead = {"holderIdentity": "dead", "renewTime": "year 3000", "leaseDurationSeconds": 15}
    await kube.create({**_lease(), "spec": dead})
    two = asyncio.create_task(elector(kube, "two", clock).run(stay))
    await asyncio.sleep(0.05)
    assert holder(kube) == "dead"
    clock.turn(15.5)
    await until(lambda: holder(kube) == "two")
    assert kube.objects[REF]["spec"]["leaseTransitions"] == 1  # type: ignore[index]
    await end(two)


def _lease() -> dict[str, object]:
    metadata = {"namespace": LEASE[0], "name": LEASE[1]}
    return {"apiVersion": REF.api_version, "kind": "Lease", "metadata": metadata}


async def test_who_cannot_renew_stops_before_others_begin() -> None:
    kube, clock = MemoryKube(), Clock()
    stopped = asyncio.Event()

    async def work() -> None:
        try:
            await stay()
        finally:
            stopped.set()

    one = asyncio.create_task(elector(kube, "one", clock).run(work))
    await until(lambda: holder(kube) == "one")
    kube.failing = KubeError("down")
    await asyncio.sleep(0.05)
    assert not stopped.is_set(), "a short loss is borne"
    clock.turn(10.5)
    await until(stopped.is_set)
    await end(one)


async def test_a_race_has_one_winner() -> None:
    kube, clock = MemoryKube(), Clock()
    candidates = [asyncio.create_task(elector(kube, name, clock).run(stay)) for name in "abc"]
    await until(lambda: holder(kube) != "")
    winner = holder(kube)
    await asyncio.sleep(0.05)
    assert holder(kube) == winner
    for task in candidates:
        await end(task)


async def test_a_failure_of_the_work_is_raised() -> None:
    async def broken() -> None:
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        await elector(MemoryKube(), "one", Clock()).run(broken)
