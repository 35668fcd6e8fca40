"""Looks for answers that idempotency keys have already got: whoever asks while a look is under way shares the
next one."""

import asyncio
from collections.abc import Sequence

from cadre_controller.errors import Unavailable
from cadre_controller.store.pool import Database, Row

type_key = tuple[str, str, str]
type_asked = tuple[type_key, "asyncio.Future[Row | None]"]


class KnownKeys:
    """Many looks in one query."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[type_asked] = []
        self._looking: asyncio.Task[None] | None = None

    async def find(self, tenant: str, scope: str, key: str) -> Row | None:
        """`request_hash` and `response` kept under the key. Raises Unavailable, InvalidInput."""
        answer: asyncio.Future[Row | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((tenant, scope, key), answer))
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="known-keys")
        return await answer

    async def _look(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting, []
                await self._answer(asked)
        finally:
            self._looking = None
            for _, answer in self._waiting:
                answer.cancel()
            self._waiting = []

    async def _answer(self, asked: Sequence[type_asked]) -> None:
        """Answer all; of those that fail together each is asked by itself, so that a bad key fails alone."""
        try:
            columns = map(list, zip(*(key for key, _ in asked), strict=True))
            rows = await self._db.fetch([key[0] for key, _ in asked], "idempotency_find", *columns)
        except asyncio.CancelledError:
            for _, answer in asked:
                answer.cancel()
            raise
        except Exception as error:
            if len(asked) > 1 and not isinstance(error, Unavailable):
                for one in asked:
                    await self._answer([one])
                return
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
            return
        found = {(row["tenant"], row["scope"], row["key"]): row for row in rows}
        for key, answer in asked:
            if not answer.done():
                answer.set_result(found.get(key))
