"""Tool calls announce themselves before they act, so that a crash never repeats an effect nor hides that one
may have happened.

Within an attempt the n-th call of a tool with the same arguments is ordinal n; a later attempt of the task
meets the same
ordinals in the same order and finds what the earlier one recorded.
"""

import asyncio
import hashlib
from collections.abc import Mapping

from cadre_api.protocol.base import type_json
from cadre_api.protocol.tasks import ApprovalView
from cadre_controller.errors import Conflict, Unavailable
from cadre_controller.services.approvals import ApprovalService
from cadre_controller.services.kernel import Kernel, dump, task_channels
from cadre_controller.services.models import HeldTask, Intent, IntentKind, ToolResult
from cadre_controller.store.pool import Row
from cadre_controller.store.work import RowMissing, Statement, Work

_RACES = 50
_PAUSE = 0.02
"""Seconds: how long another call of this process takes to announce the same ordinal."""


class IntentService:
    """Begin, record, wait, abandon."""

    def __init__(self, kernel: Kernel, approvals: ApprovalService) -> None:
        self._kernel = kernel
        self._approvals = approvals
        self._running: set[tuple[str, str, str, str, int]] = set()

    async def ordinal(self, held: HeldTask, tool: str, arguments_hash: str, tool_call_id: str) -> int:
        """The ordinal that `begin` would give this call now."""
        rows = await self._rows(held.tenant, held.id, tool, arguments_hash)
        return _ordinal(held, rows, tool_call_id)

    async def begin(
        self, held: HeldTask, tool: str, arguments_hash: str, tool_call_id: str, expected: int = 0
    ) -> Intent:
        """Announce a call. A repeated `tool_call_id` of one attempt is the same call; else it is the next
        ordinal.

        `expected`: the only ordinal that was permitted (0 = any). Raises Unavailable when another call has
        taken it, which must then be decided anew.
        """
        for _ in range(_RACES):
            intent = await self._try_begin(held, tool, arguments_hash, tool_call_id, expected)
            if intent is not None:
                return intent
        raise Conflict("IntentContended", "the same call is announced too often at once", "retry the call")

    async def use(
        self, held: HeldTask, tool: str, arguments_hash: str, tool_call_id: str, ordinal: int
    ) -> None:
        """Take the ordinal of a permitted call that is run elsewhere: the next equal one is another call. The
        same again has no effect. Raises Unavailable when another call has taken it.
        """
        intent = await self.begin(held, tool, arguments_hash, tool_call_id, ordinal)
        if intent.kind in (IntentKind.NEW, IntentKind.CUT):
            await self.record(intent, ToolResult())

    async def record(self, intent: Intent, result: ToolResult) -> None:
        """Keep the result; the first one counts, whatever is recorded after it."""
        try:
            statement = Statement(
                "intent_done", (*_key(intent), dump(_to_json(result)), self._kernel.clock.now())
            )
            await self._submit(intent, statement)
        except RowMissing:
            return
        finally:
            self._running.discard(_key(intent))

    async def wait(self, intent: Intent, wait_seconds: float) -> ToolResult | None:
        """The result of a call that somebody else is executing, or None when it does not come in time."""

        async def look() -> ToolResult | None:
            rows = await self._rows(intent.tenant, intent.task_id, intent.tool, intent.arguments_hash)
            row = next((r for r in rows if r["ordinal"] == intent.ordinal), None)
            return _result(row) if row is not None and row["state"] == "Done" else None

        channels = task_channels(intent.tenant, intent.task_id)
        return await self._kernel.wakeups.until(channels, look, wait_seconds)

    async def abandon(self, intent: Intent) -> None:
        """Forget an intent whose call certainly never reached the server."""
        try:
            await self._submit(
                intent, Statement("intent_drop", (*_key(intent), self._kernel.committer.sender))
            )
        except RowMissing:
            return
        finally:
            self._running.discard(_key(intent))

    def leave(self, intent: Intent) -> None:
        """The execution here ended without an answer: the next call with this intent finds it Cut."""
        self._running.discard(_key(intent))

    async def outcome_unknown(self, held: HeldTask, intent: Intent) -> ApprovalView:
        """Nobody knows whether a call that must not run twice took effect: the lease ends and the node's
        head is asked."""
        self._running.discard(_key(intent))
        return await self._approvals.request_outcome(held, intent)

    async def _try_begin(
        self, held: HeldTask, tool: str, arguments_hash: str, tool_call_id: str, expected: int
    ) -> Intent | None:
        """An intent, or None when another call took the ordinal first."""
        rows = await self._rows(held.tenant, held.id, tool, arguments_hash)
        if expected and _ordinal(held, rows, tool_call_id) != expected:
            raise Unavailable("an equal call used the permission first; this one is to be decided anew")
        for row in rows:
            if row["attempt"] == held.attempt and row["tool_call_id"] == tool_call_id:
                return await self._repeated(held, row)
        for row in rows:
            if row["attempt"] < held.attempt:
                return await self._consume(held, row, tool_call_id)
        return await self._insert(held, tool, arguments_hash, tool_call_id, len(rows) + 1)

    async def _repeated(self, held: HeldTask, row: Row) -> Intent | None:
        """The same call came again: recorded, still running here, or left behind by a process that is
        gone."""
        if row["state"] == "Done":
            return _intent(held, row, IntentKind.RECORDED, _result(row))
        if row["owner"] == self._kernel.committer.sender and _row_key(row) in self._running:
            return _intent(held, row, IntentKind.IN_FLIGHT)
        return await self._consume(held, row, row["tool_call_id"])

    async def _consume(self, held: HeldTask, row: Row, tool_call_id: str) -> Intent | None:
        """Take an earlier attempt's ordinal over; only one caller can."""
        me = self._kernel.committer.sender
        statement = Statement(
            "intent_consume",
            (*_row_key(row), me, held.attempt, tool_call_id, row["attempt"], row["state"], row["owner"]),
        )
        taken = _row_key(row)
        if row["state"] != "Done" and taken in self._running:
            return _intent(held, row, IntentKind.IN_FLIGHT)
        self._running.add(taken)
        try:
            await self._submit(_intent(held, row, IntentKind.NEW), statement)
        except RowMissing:
            self._running.discard(taken)
            return None
        if row["state"] == "Done":
            self._running.discard(taken)
            return _intent(held, row, IntentKind.RECORDED, _result(row))
        return _intent(held, row, IntentKind.NEW if row["state"] == "Approved" else IntentKind.CUT)

    async def _insert(
        self, held: HeldTask, tool: str, arguments_hash: str, tool_call_id: str, ordinal: int
    ) -> Intent | None:
        key = (held.tenant, held.id, tool, arguments_hash, ordinal)
        idempotency_key = hashlib.sha256("\x00".join(map(str, key)).encode()).hexdigest()
        intent = Intent(IntentKind.NEW, held.tenant, held.id, tool, arguments_hash, ordinal, idempotency_key)
        row = (
            *key, self._kernel.committer.sender, held.attempt, tool_call_id, idempotency_key,
            self._kernel.clock.now(),
        )  # fmt: skip
        if key in self._running:
            await asyncio.sleep(_PAUSE)
            return None
        self._running.add(key)
        try:
            await self._submit(intent, Statement("intent_insert", row))
        except RowMissing:
            self._running.discard(key)
            return None
        except BaseException:
            self._running.discard(key)
            raise
        return intent

    async def _submit(self, intent: Intent, statement: Statement) -> None:
        keys = frozenset({f"intent:{intent.tenant}:{intent.task_id}"})
        notify = task_channels(intent.tenant, intent.task_id)
        await self._kernel.submit(Work(intent.tenant, (statement,), keys, notify=notify))

    async def _rows(self, tenant: str, task_id: str, tool: str, arguments_hash: str) -> list[Row]:
        return await self._kernel.db.fetch(tenant, "intents_of", tenant, task_id, tool, arguments_hash)


def _ordinal(held: HeldTask, rows: list[Row], tool_call_id: str) -> int:
    same = [r for r in rows if r["attempt"] == held.attempt and r["tool_call_id"] == tool_call_id]
    earlier = [r for r in rows if r["attempt"] < held.attempt]
    return next((int(row["ordinal"]) for row in (*same, *earlier)), len(rows) + 1)


def _key(intent: Intent) -> tuple[str, str, str, str, int]:
    return intent.tenant, intent.task_id, intent.tool, intent.arguments_hash, intent.ordinal


def _row_key(row: Row) -> tuple[str, str, str, str, int]:
    return row["tenant"], row["task_id"], row["tool"], row["arguments_hash"], row["ordinal"]


def _intent(held: HeldTask, row: Row, kind: IntentKind, result: ToolResult | None = None) -> Intent:
    key = _row_key(row)
    return Intent(kind, held.tenant, *key[1:], row["idempotency_key"], result)


def _result(row: Row) -> ToolResult:
    stored: Mapping[str, object] = row["result"]
    content: tuple[type_json, ...] = tuple(stored["content"])  # type: ignore[arg-type]
    structured: type_json | None = stored["structuredContent"]  # type: ignore[assignment]
    return ToolResult(content, structured, bool(stored["isError"]))


def _to_json(result: ToolResult) -> type_json:
    return {
        "content": list(result.content),
        "structuredContent": result.structured_content,
        "isError": result.is_error,
    }
