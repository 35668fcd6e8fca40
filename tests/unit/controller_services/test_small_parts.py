"""The small parts that everything leans on: waking, rates, periods, notifications, ids, sweeps."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from cadre_api.protocol.guard import GuardRules
from cadre_controller.errors import RateLimited, Unavailable
from cadre_controller.ids import SortableIds
from cadre_controller.services.masking import at_least_mask, detect_config, token_candidates
from cadre_controller.services.periods import period_start
from cadre_controller.services.rates import RateLimiter
from cadre_controller.services.sweeps import Sweep, Sweeper
from cadre_controller.store.flush import notification_payloads
from cadre_controller.store.loader import load_migrations, load_queries
from cadre_controller.store.wakeups import Wakeups
from cadre_core.model import Node
from cadre_detect import make_token


class TurnedClock:
    """A clock that stands until it is turned."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


async def test_a_wake_before_the_wait_is_not_lost() -> None:
    wakeups, looks = Wakeups(), 0

    async def look() -> int | None:
        nonlocal looks
        looks += 1
        if looks == 1:
            wakeups.wake(["a"])  # a commit between this look and the sleep
            return None
        return looks

    assert await wakeups.until(["a"], look, 0.9) == 2


async def test_waits_end_on_time_and_on_close() -> None:
    wakeups = Wakeups()

    async def nothing() -> None:
        return None

    assert await wakeups.until(["a"], nothing, 0) is None
    waiting = asyncio.create_task(wakeups.until(["a", "b"], nothing, 3600))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    wakeups.close()
    assert await waiting is None
    assert await wakeups.until(["a"], nothing, 3600) is None


def test_rates_refill_and_say_when() -> None:
    clock = TurnedClock()
    rate = RateLimiter(clock, 60, "calls")
    rate.take("a", 60)
    rate.take("b", 60)
    with pytest.raises(RateLimited) as refusal:
        rate.take("a", 10)
    assert refusal.value.retry_after == 10
    clock.seconds += 10
    rate.take("a", 10)
    clock.seconds += 1000
    rate.take("a", 60)


@pytest.mark.parametrize(
    ("period", "zone", "start"),
    [
        ("Day", "UTC", "2026-03-30T00:00:00+00:00"),
        ("Day", "Europe/Berlin", "2026-03-30T22:00:00+00:00"),
        ("Week", "UTC", "2026-03-30T00:00:00+00:00"),
        ("Month", "UTC", "2026-03-01T00:00:00+00:00"),
        ("Month", "Europe/Berlin", "2026-02-28T23:00:00+00:00"),
        ("Month", "Not/AZone", "2026-03-01T00:00:00+00:00"),
    ],
)
def test_periods_follow_the_nodes_calendar(period: str, zone: str, start: str) -> None:
    node = Node("a/b", "Team", "B", ("a/b",), (), {"timeZone": zone})
    now = datetime(2026, 3, 30, 22, 30, tzinfo=UTC)
    assert period_start(node, period, now) == datetime.fromisoformat(start)


def test_notifications_fit_postgres_and_lose_nothing() -> None:
    channels = [f"task:{n}:{'x' * 80}" for n in range(500)]
    payloads = notification_payloads("me", channels)
    assert all(len(p.encode()) < 8000 for p in payloads)
    assert [c for p in payloads for c in json.loads(p)[1:]] == channels
    assert notification_payloads("me", []) == []


def test_ids_sort_by_time() -> None:
    ids = SortableIds()
    made = [ids.new("task") for _ in range(200)]
    assert len(set(made)) == 200
    assert [i[:15] for i in made] == sorted(i[:15] for i in made)


def test_queries_and_migrations_load() -> None:
    assert {"task_insert", "audit_append", "task_claimable"} <= set(load_queries())
    versions = [version for version, _, _ in load_migrations()]
    assert versions == list(range(1, len(versions) + 1))


def test_storing_masks_what_a_guard_merely_detects() -> None:
    rules = GuardRules(
        mode="Detect", entity_actions={"PERSON": "Detect", "IP_ADDRESS": "Disabled", "JWT": "Block"}
    )
    strict = at_least_mask(rules)
    assert strict.mode == "Mask"
    assert strict.entity_actions == {"PERSON": "Mask", "IP_ADDRESS": "Disabled", "JWT": "Block"}
    assert "MEDICAL_RECORD" in detect_config(GuardRules(entity_actions={"MEDICAL_RECORD": "Mask"})).entities


def test_token_candidates_of_a_document() -> None:
    token = make_token(b"k" * 32, "1", "PERSON", "Ada")
    found = token_candidates({"a": [f"see {token}.", 1, None], f"{token}": "x"})
    assert token in found


async def test_a_failing_sweep_is_tried_again() -> None:
    ran = asyncio.Event()
    attempts = 0

    async def chore() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise Unavailable("gone")
        if attempts == 2:
            raise ValueError("bug")
        ran.set()

    sweeper = Sweeper((Sweep("chore", 0.001, chore),))
    await sweeper.start()
    async with asyncio.timeout(60):
        await ran.wait()
    await sweeper.stop()
