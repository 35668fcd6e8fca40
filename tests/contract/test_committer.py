"""Group commit: together or not at all, a bad work alone, nothing acknowledged lost, the chain never
forked."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from cadre_controller.clock import SystemClock
from cadre_controller.errors import (
    BudgetExceeded,
    IdempotencyKeyReused,
    InvalidInput,
    Overloaded,
    Unavailable,
)
from cadre_controller.ids import SortableIds
from cadre_controller.keystore import KeyStore
from cadre_controller.services.kernel import Kernel, system_actor
from cadre_controller.store.committer import Committer
from cadre_controller.store.known_keys import KnownKeys
from cadre_controller.store.listener import Listener
from cadre_controller.store.pool import ScopedConnection, open_database
from cadre_controller.store.wakeups import Wakeups
from cadre_controller.store.work import BudgetHold, Idempotency, Rejected, RowMissing, Statement, Work
from tests.support.postgres import eventually, fresh_database, open_server

pytestmark = pytest.mark.postgres
T = "orbit"
ACTOR = system_actor(T, "test")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def open_kernel(dsn: str, folder: Path, **limits: int) -> AsyncIterator[Kernel]:
    wakeups, ids = Wakeups(), SortableIds()
    database = await open_database(dsn, max_size=4)
    committer = Committer(dsn, wakeups, ids, **limits)  # type: ignore[arg-type]
    await committer.start()
    keystore = KeyStore.open(folder / "keys.json", passphrase="test")
    try:
        yield Kernel(database, committer, keystore, SystemClock(), ids, wakeups)
    finally:
        await committer.stop()
        await database.close()


@pytest.fixture
async def kernel(dsn: str, tmp_path: Path) -> AsyncIterator[Kernel]:
    async with open_kernel(dsn, tmp_path) as opened:
        yield opened


def session(name: str, **more: object) -> Work:
    row = (T, name, "tester", "", NOW)
    return Work(T, (Statement("session_insert", row),), **more)  # type: ignore[arg-type]


async def stored(kernel: Kernel) -> set[str]:
    async with kernel.db.connection((T,)) as connection:
        return {row["id"] for row in await connection.fetch("SELECT id FROM sessions")}


async def chain_holds(kernel: Kernel, events: int) -> None:
    """Sequence and links are unbroken from the first event to the head."""
    rows = await kernel.db.fetch(T, "audit_list", T, 0, "", "", "", "", None, None, 100_000)
    assert [row["seq"] for row in rows] == list(range(1, events + 1))
    assert all(b["prev_hash"] == a["hash"] for a, b in itertools.pairwise(rows))
    head = await kernel.db.fetch_one(T, "audit_head", T)
    assert head is not None
    assert (head["seq"], head["hash"]) == (events, rows[-1]["hash"])


async def test_a_bad_work_fails_alone(kernel: Kernel) -> None:
    await kernel.submit(session("taken"))
    bad_row = Work(T, (Statement("session_insert", (T, "bad\x00text", "x", "", NOW)),))
    impossible = Work(
        T, (Statement("task_cancel", (T, "no-such-task", "", NOW)),), audit=(kernel.audit(ACTOR, "x", "y"),)
    )
    good = [session(f"good-{n}", audit=(kernel.audit(ACTOR, "good", str(n)),)) for n in range(40)]
    no_text = session("\ud800")
    works = [*good[:20], bad_row, session("taken"), no_text, impossible, *good[20:]]
    results = await asyncio.gather(*map(kernel.submit, works), return_exceptions=True)
    failed = [type(r) for r in results if isinstance(r, BaseException)]
    assert failed == [Rejected, RowMissing, Rejected, RowMissing]
    assert await stored(kernel) == {"taken", *(f"good-{n}" for n in range(40))}
    await chain_holds(kernel, 40)


async def test_a_bad_key_is_looked_for_alone(kernel: Kernel) -> None:
    await kernel.submit(session("n", idempotency=Idempotency(T, "test", "good", "hash", {"made": 1})))
    keys = KnownKeys(kernel.db)
    asked = ("first", "good", "\ud800", "bad\x00text", "good")
    found = await asyncio.gather(*(keys.find(T, "test", key) for key in asked), return_exceptions=True)
    assert found[0] is None
    assert [row["response"] for row in (found[1], found[4])] == [{"made": 1}] * 2  # type: ignore[index]
    assert isinstance(found[2], InvalidInput)
    assert isinstance(found[3], InvalidInput)
    assert await keys.find(T, "other", "good") is None


async def test_a_work_is_all_or_nothing(kernel: Kernel) -> None:
    await kernel.submit(session("first"))
    two = Work(T, (*session("second").statements, *session("first").statements))
    with pytest.raises(RowMissing):
        await kernel.submit(two)
    assert await stored(kernel) == {"first"}


async def test_of_equal_inserts_in_one_flush_one_wins(kernel: Kernel) -> None:
    results = await asyncio.gather(
        *(kernel.submit(session("same")) for _ in range(20)), return_exceptions=True
    )
    assert sum(not isinstance(r, BaseException) for r in results) == 1


async def test_the_chain_never_forks_under_two_committers(kernel: Kernel, dsn: str, tmp_path: Path) -> None:
    async with open_kernel(dsn, tmp_path) as other:
        works = [
            k.submit(Work(T, audit=(k.audit(ACTOR, "race", str(n)),)))
            for n in range(150)
            for k in (kernel, other)
        ]
        await asyncio.gather(*works)
    await chain_holds(kernel, 300)


async def test_two_hundred_spends_at_the_cap_overspend_nothing(
    kernel: Kernel, dsn: str, tmp_path: Path
) -> None:
    def spend() -> Work:
        holds = tuple(
            BudgetHold(T, node, "Month", NOW, "USD", cap, None, "Stop", Decimal("0.10"), 1)
            for node, cap in (("root", Decimal(100)), ("leaf", Decimal("5.00")))
        )
        return Work(T, holds=holds)

    async with open_kernel(dsn, tmp_path) as other:
        works = [k.submit(spend()) for _ in range(100) for k in (kernel, other)]
        results = await asyncio.gather(*works, return_exceptions=True)
    refused = [r for r in results if isinstance(r, BaseException)]
    assert {type(r) for r in refused} == {BudgetExceeded}
    assert len(results) - len(refused) == 50
    rows = await kernel.db.fetch(T, "budget_states", T, ["root", "leaf"], [NOW, NOW])
    assert {row["node"]: row["reserved"] for row in rows} == {
        "root": Decimal("5.00"),
        "leaf": Decimal("5.00"),
    }


async def test_killed_backends_lose_nothing_acknowledged(kernel: Kernel, dsn: str) -> None:
    acknowledged: set[str] = set()
    stop = asyncio.Event()

    async def killer() -> int:
        """Kill the writer's backend again and again, each time after some progress, at whatever point it
        then is."""
        connection = await asyncpg.connect(dsn)
        kills, seen = 0, 0
        while not stop.is_set():
            if len(acknowledged) >= seen + 5:
                seen = len(acknowledged)
                kills += await connection.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE application_name = 'cadre-committer' AND datname = current_database()"
                )
            await asyncio.sleep(0.001 * (kills % 5))
        await connection.close()
        return kills

    async def write(n: int) -> None:
        name = f"s-{n}"
        await kernel.submit(session(name, audit=(kernel.audit(ACTOR, "write", name),)))
        acknowledged.add(name)

    async def writer(numbers: range) -> None:
        for n in numbers:
            await write(n)

    killing = asyncio.create_task(killer())
    await asyncio.gather(*(writer(range(start, 240, 12)) for start in range(12)))
    stop.set()
    assert await killing > 0
    assert acknowledged == {f"s-{n}" for n in range(240)}
    assert await stored(kernel) == acknowledged
    await chain_holds(kernel, 240)


async def test_the_same_key_is_done_once_and_answers_the_same(
    kernel: Kernel, dsn: str, tmp_path: Path
) -> None:
    def keyed(n: int, request: str = "hash") -> Work:
        return session(f"n-{n}", idempotency=Idempotency(T, "test", "key", request, {"made": n}))

    async with open_kernel(dsn, tmp_path) as other:
        outcomes = await asyncio.gather(*(k.submit(keyed(n)) for n, k in enumerate((kernel, other) * 20)))
    made = await stored(kernel)
    assert len(made) == 1
    winner = int(made.pop().removeprefix("n-"))
    replayed = [o.replayed for o in outcomes if o.replayed is not None]
    assert replayed == [{"made": winner}] * 39
    with pytest.raises(IdempotencyKeyReused):
        await kernel.submit(keyed(99, "another request"))


async def test_works_with_a_common_key_see_each_other(kernel: Kernel) -> None:
    key = frozenset({"session:x"})
    created = kernel.submit(session("x", keys=key))
    joined = kernel.submit(
        Work(T, (Statement("shard_insert", (T, "d", "x", "a", "PUBLIC", "t", "h", NOW)),), key)
    )
    await asyncio.gather(created, joined)
    shards = await kernel.db.fetch(T, "shards", T, "x")
    assert [row["id"] for row in shards] == ["d"]


async def test_a_full_queue_says_when_to_come_back(dsn: str, tmp_path: Path) -> None:
    async with open_kernel(dsn, tmp_path, max_queue=5) as kernel:
        results = await asyncio.gather(
            *(kernel.submit(session(f"q-{n}")) for n in range(50)), return_exceptions=True
        )
        refused = [r for r in results if isinstance(r, Overloaded)]
        assert refused
        assert refused[0].retry_after > 0
        done = sum(not isinstance(r, BaseException) for r in results)
        assert len(await stored(kernel)) == done


async def test_after_stop_nothing_is_taken(dsn: str, tmp_path: Path) -> None:
    async with open_kernel(dsn, tmp_path) as kernel:
        waiting = [asyncio.create_task(kernel.submit(session(f"w-{n}"))) for n in range(30)]
        await asyncio.sleep(0)
        await kernel.committer.stop()
        await asyncio.gather(*waiting)
        assert len(await stored(kernel)) == 30
        with pytest.raises(Unavailable):
            await kernel.submit(session("late"))


async def test_a_commit_wakes_waiters_of_another_process(kernel: Kernel, dsn: str, tmp_path: Path) -> None:
    async with open_kernel(dsn, tmp_path) as other:
        listener = Listener(dsn, other.wakeups, other.committer.sender)
        await listener.start()
        heard = asyncio.Event()

        async def wait() -> None:
            async def look() -> bool | None:
                return True if await stored(other) else None

            assert await other.wakeups.until(("news",), look, 30)
            heard.set()

        try:
            await listener.listening.wait()
            waiting = asyncio.create_task(wait())
            await kernel.submit(session("told", notify=("news",)))

            async def told() -> bool:
                return heard.is_set()

            await eventually(told)
            await waiting
        finally:
            await listener.stop()


async def test_a_crash_of_postgres_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with open_server("embedded") as server, fresh_database(server) as dsn:
        assert server.crash is not None
        async with open_kernel(dsn, tmp_path) as kernel:
            acknowledged: set[str] = set()

            async def writer(numbers: range) -> None:
                for n in numbers:
                    await kernel.submit(session(f"s-{n}", audit=(kernel.audit(ACTOR, "write", str(n)),)))
                    acknowledged.add(f"s-{n}")

            async def enough() -> bool:
                return len(acknowledged) >= 40

            writing = asyncio.gather(*(writer(range(start, 160, 8)) for start in range(8)))
            await eventually(enough, 60)
            await asyncio.to_thread(server.crash)
            await writing
            assert await stored(kernel) == acknowledged == {f"s-{n}" for n in range(160)}
            await chain_holds(kernel, 160)


async def test_a_connection_that_lost_its_place_is_not_used_again(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: list[int] = []
    known = ScopedConnection.fetch

    async def out_of_step(self: asyncpg.Connection, query: str, *arguments: object) -> object:
        if not broken:
            broken.append(self.get_server_pid())
            raise asyncpg.InternalClientError("cannot switch to state 11; another operation is in progress")
        return await known(self, query, *arguments)

    monkeypatch.setattr(ScopedConnection, "fetch", out_of_step)
    with pytest.raises(Unavailable):
        await kernel.db.fetch((), "alive")
    async with kernel.db.connection(()) as connection:
        assert connection.get_server_pid() not in broken
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_flush_on_such_a_connection_is_made_once_on_another(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, calls = asyncpg.Connection.fetch, itertools.count(1)

    async def out_of_step(self: asyncpg.Connection, query: str, *arguments: object) -> object:
        if "sessions" in query and next(calls) == 1:
            raise asyncpg.InternalClientError("unexpected state")
        return await known(self, query, *arguments)

    monkeypatch.setattr(asyncpg.Connection, "fetch", out_of_step)
    await kernel.submit(session("once"))
    assert next(calls) == 3
    monkeypatch.undo()
    assert await stored(kernel) == {"once"}
