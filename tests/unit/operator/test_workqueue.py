"""The work queue: once per key, tenants in turns, back-off, bounds, pauses."""

import asyncio

import pytest

from cadre_operator.keys import Key, Priority
from cadre_operator.workqueue import Backoff, WorkQueue
from tests.unit.operator.fakes import Clock


def key(name: str, namespace: str = "a") -> Key:
    """A key."""
    return Key("Agent", namespace, name)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


async def take(queue: WorkQueue) -> str | None:
    """Take the next key if there is one now."""
    try:
        async with asyncio.timeout(0.01):
            return (await queue.get()).name
    except TimeoutError:
        return None


async def drain(queue: WorkQueue) -> list[str]:
    """Take and finish everything that is ready."""
    found = []
    while True:
        try:
            async with asyncio.timeout(0.01):
                found_key = await queue.get()
        except TimeoutError:
            return found
        found.append(found_key.name)
        queue.done(found_key)


async def test_a_key_is_held_once(clock: Clock) -> None:
    queue = WorkQueue(clock)
    for _ in range(3):
        queue.add(key("x"))
    assert len(queue) == 1
    assert await drain(queue) == ["x"]


async def test_a_key_added_while_it_runs_runs_once_more(clock: Clock) -> None:
    queue = WorkQueue(clock)
    queue.add(key("x"))
    running = await queue.get()
    queue.add(key("x"))
    queue.add(key("x"), Priority.ROUTINE)
    assert await take(queue) is None
    queue.done(running)
    assert await drain(queue) == ["x"]


async def test_a_key_whose_time_comes_while_it_runs_is_not_given_to_a_second_worker(clock: Clock) -> None:
    queue = WorkQueue(clock)
    queue.add(key("x"))
    running = await queue.get()
    queue.add(key("x"), after=1.0)
    clock.turn(2.0)
    assert await take(queue) is None
    queue.done(running)
    assert await drain(queue) == ["x"]


async def test_who_waits_is_served_first_and_tenants_take_turns(clock: Clock) -> None:
    queue = WorkQueue(clock)
    queue.add(key("routine"), Priority.ROUTINE)
    for name in ("a1", "a2", "a3"):
        queue.add(key(name))
    queue.add(key("b1", "b"))
    assert await drain(queue) == ["a1", "b1", "a2", "a3", "routine"]


async def test_a_key_moves_up_never_down(clock: Clock) -> None:
    queue = WorkQueue(clock)
    queue.add(key("x"), Priority.ROUTINE)
    queue.add(key("y"), Priority.AFFECTED)
    queue.add(key("x"), Priority.CHANGED)
    queue.add(key("x"), Priority.ROUTINE)
    assert await drain(queue) == ["x", "y"]


async def test_failures_wait_longer_each_time_and_success_forgets(clock: Clock) -> None:
    queue = WorkQueue(clock, backoff=Backoff(first=1.0, most=3.0))
    queue.add(key("x"))
    running = await queue.get()
    waits = []
    for _ in range(4):
        queue.done(running, failed=True)
        before = clock.now
        while await take(queue) is None:
            clock.turn(0.5)
        waits.append(clock.now - before)
    assert waits == [1.0, 2.0, 3.0, 3.0]
    assert queue.failures(key("x")) == 4
    queue.done(running)
    assert queue.failures(key("x")) == 0


async def test_the_server_may_ask_for_more(clock: Clock) -> None:
    queue = WorkQueue(clock)
    queue.add(key("x"))
    queue.done(await queue.get(), failed=True, retry_after=7)
    clock.turn(6.9)
    assert await take(queue) is None
    clock.turn(0.2)
    assert await take(queue) == "x"


async def test_a_pause_holds_everything(clock: Clock) -> None:
    queue = WorkQueue(clock)
    queue.add(key("x"))
    queue.pause(5)
    assert await take(queue) is None
    clock.turn(5)
    assert await take(queue) == "x"


async def test_later_is_brought_forward_by_sooner(clock: Clock) -> None:
    queue = WorkQueue(clock)
    queue.add(key("x"), after=60)
    queue.add(key("x"), after=90)
    queue.add(key("x"), after=1)
    clock.turn(1)
    assert await drain(queue) == ["x"]
    clock.turn(100)
    assert await drain(queue) == []
    queue.add(key("y"))
    queue.add(key("y"), after=5)
    assert await drain(queue) == ["y"]


async def test_a_key_keeps_its_distance(clock: Clock) -> None:
    queue = WorkQueue(clock, spacing=1.0)
    queue.add(key("x"))
    assert await drain(queue) == ["x"]
    queue.add(key("x"))
    assert await take(queue) is None
    clock.turn(1)
    assert await drain(queue) == ["x"]
    clock.turn(5)
    queue.add(key("y"))
    assert await drain(queue) == ["y"]


async def test_beyond_its_bound_it_says_so(clock: Clock) -> None:
    queue = WorkQueue(clock, limit=2)
    for name in ("x", "y", "z"):
        queue.add(key(name))
    assert queue.overflowed
    assert await drain(queue) == ["x", "y"]
    queue.clear()
    assert not queue.overflowed


async def test_it_tells_how_long_work_waits(clock: Clock) -> None:
    queue = WorkQueue(clock)
    assert queue.oldest() == 0
    queue.add(key("x"), Priority.ROUTINE)
    clock.turn(3)
    queue.add(key("x"))
    assert queue.oldest() == 3
    assert queue.running == 0


async def test_a_waiting_worker_wakes(clock: Clock) -> None:
    queue = WorkQueue(clock)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(key("x"))
    assert await waiting == key("x")
