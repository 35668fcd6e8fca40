"""Group commit: every change of this process goes through one writer, which commits whatever waits in one
transaction.

An acknowledged work is durable. When the connection dies during COMMIT the outcome is unknown; each flush
therefore writes
its own id, and the next connection looks for it before doing anything again.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from cadre_controller.errors import CadreError, Overloaded, Unavailable
from cadre_controller.ports import Ids
from cadre_controller.store.flush import Flush, Report
from cadre_controller.store.loader import load_queries
from cadre_controller.store.pool import CONNECTION_ERRORS, prepare_connection
from cadre_controller.store.queue import Item, WorkQueue
from cadre_controller.store.wakeups import Wakeups
from cadre_controller.store.work import Outcome, Rejected, Work

logger = logging.getLogger(__name__)

_TRY_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)
PURGE_EVERY = 2000
_REPLANNED_AFTER = frozenset((10, 30, 100, 300, 1000))
"""Flushes. A kept plan is of when the tables were smaller: of empty ones any index of the tenant looks as
good as the key, and until somebody analyses the table each look reads all rows of the tenant."""


class Committer:
    """The one writer of this process. `start`, `submit`, `stop`."""

    def __init__(
        self,
        dsn: str,
        wakeups: Wakeups,
        ids: Ids,
        *,
        max_queue: int = 5000,
        max_batch: int = 500,
        timeout_seconds: float = 30.0,
    ) -> None:
        self._dsn = dsn
        self._wakeups = wakeups
        self._ids = ids
        self.sender = ids.new("proc")
        self._max_queue = max_queue
        self._max_batch = max_batch
        self._timeout = timeout_seconds
        self._queue = WorkQueue()
        self._more = asyncio.Event()
        self._connection: Any = None
        self._runner: asyncio.Task[None] | None = None
        self._closing = False
        self._flushes = 0

    @property
    def depth(self) -> int:
        """Works that wait."""
        return len(self._queue)

    async def start(self) -> None:
        """Connect once (so that a wrong DSN is told at start) and begin."""
        await self._connected()
        self._runner = asyncio.create_task(self._run(), name="committer")

    async def stop(self, drain_seconds: float = 5.0) -> None:
        """Take nothing new, commit what waits within the bound, then end."""
        self._closing = True
        self._more.set()
        if self._runner is not None:
            with suppress(TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(drain_seconds):
                    await self._runner
        for item in self._queue.drain():
            _refuse(item, Unavailable("the controller is stopping"))
        await self._drop_connection()

    async def submit(self, work: Work) -> Outcome:
        """Commit a work; returns when it is durable.

        Raises Overloaded, Unavailable, BudgetExceeded, RowMissing, Rejected, IdempotencyKeyReused.
        """
        if self._closing:
            raise Unavailable("the controller is stopping")
        if self._queue.is_full(work.tenant, self._max_queue):
            raise Overloaded(retry_after=1.0)
        item = Item(work, asyncio.get_running_loop().create_future(), work.all_keys())
        self._queue.append(item)
        self._more.set()
        try:
            async with asyncio.timeout(self._timeout):
                return await item.future
        except TimeoutError:
            raise Unavailable("the change was not confirmed in time") from None

    async def _run(self) -> None:
        while not (self._closing and not self._queue):
            await self._more.wait()
            self._more.clear()
            while batch := self._queue.take(self._max_batch):
                try:
                    await self._commit(batch)
                except asyncio.CancelledError:
                    for item in batch:
                        _refuse(item, Unavailable("the controller stopped before the change was confirmed"))
                    raise

    async def _commit(self, batch: Sequence[Item]) -> None:
        """Commit a batch; a row the database itself refuses is found by halving, and fails alone."""
        try:
            await self._flush(batch)
        except Exception as error:
            if len(batch) == 1:
                _refuse(batch[0], _refusal(error))
                return
            middle = len(batch) // 2
            await self._commit(batch[:middle])
            await self._commit(batch[middle:])

    async def _flush(self, batch: Sequence[Item]) -> None:
        flush = Flush(self._ids.new("flush"), [item.work for item in batch], self.sender)
        pause = 0.02
        while True:
            try:
                report = await flush.run(await self._connected())
            except CONNECTION_ERRORS as error:
                logger.warning("database connection lost", extra={"error": type(error).__name__})
                await self._drop_connection()
            except _TRY_AGAIN:
                logger.info("flush repeated after a lock conflict")
            else:
                self._deliver(batch, report)
                await self._purge_sometimes()
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)

    def _deliver(self, batch: Sequence[Item], report: Report) -> None:
        for position, item in enumerate(batch):
            if position in report.refusals:
                _refuse(item, report.refusals[position])
            elif not item.future.done():
                item.future.set_result(report.outcomes[position])
        self._wakeups.wake(report.channels)

    async def _purge_sometimes(self) -> None:
        self._flushes += 1
        if self._flushes in _REPLANNED_AFTER or self._flushes % PURGE_EVERY == 0:
            with suppress(*CONNECTION_ERRORS):
                await self._connection.execute("DISCARD PLANS")
        if self._flushes % PURGE_EVERY == 1:
            with suppress(*CONNECTION_ERRORS):
                await self._connection.fetch(load_queries()["flush_purge"])

    async def _connected(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._dsn,
                # Acknowledged means durable, whatever the server's default is.
                server_settings={"application_name": "cadre-committer", "synchronous_commit": "on"},
                timeout=10,
            )
            await prepare_connection(self._connection)
        return self._connection

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


def _refuse(item: Item, error: CadreError) -> None:
    if not item.future.done():
        item.future.set_exception(error)


def _refusal(error: Exception) -> CadreError:
    """What a single work's failure means to its caller."""
    if isinstance(error, asyncpg.PostgresError):
        logger.warning("work rejected", extra={"error": type(error).__name__})
        return Rejected(type(error).__name__)
    logger.error("work failed", exc_info=error)
    return CadreError("Internal", f"the change failed ({type(error).__name__})")
