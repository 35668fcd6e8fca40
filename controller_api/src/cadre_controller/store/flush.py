"""One attempt to commit many works in one transaction.

Order, always the same: known idempotency keys, budget rows, statements grouped by query in file order,
budget sums,
idempotency keys, audit heads, one notification. Anything refused before the first statement simply drops
out; anything
refused later rolls the transaction back, and the attempt is repeated without it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cadre_controller.errors import CadreError, IdempotencyKeyReused
from cadre_controller.store import chain
from cadre_controller.store.budget_rows import BudgetLedger
from cadre_controller.store.loader import load_queries
from cadre_controller.store.work import Outcome, RowMissing, Statement, Work

NOTIFY_BYTES = 7000


@dataclass(slots=True)
class Report:
    """What became of each work, by its position in the batch."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    refusals: dict[int, CadreError] = field(default_factory=dict)
    channels: frozenset[str] = frozenset()

    def open_positions(self, count: int) -> list[int]:
        return [i for i in range(count) if i not in self.outcomes and i not in self.refusals]


class Refused(Exception):  # noqa: N818 - a refusal, named as its reason
    """Some works must leave before the rest can commit."""

    def __init__(self, refusals: Mapping[int, CadreError]) -> None:
        super().__init__("refused")
        self.refusals = refusals


class AlreadyCommitted(Exception):  # noqa: N818 - a refusal, named as its reason
    """An earlier attempt of this flush did commit, although its answer was lost."""


class Flush:
    """One transaction for one batch of works."""

    def __init__(self, flush_id: str, works: Sequence[Work], sender: str) -> None:
        self.report = Report()
        self._complete: Report | None = None
        self._id = flush_id
        self._works = works
        self._sender = sender
        self._queries = load_queries()
        self._order = {name: position for position, name in enumerate(self._queries)}

    async def run(self, connection: Any) -> Report:
        """Commit what can be committed; may be called again after a lost connection. Raises the driver's
        errors."""
        refusals: dict[int, CadreError] = {}
        while True:
            self.report = Report(refusals=dict(refusals))
            try:
                async with connection.transaction():
                    await self._inside(connection)
                    self._complete = self.report
            except Refused as refused:
                refusals.update(refused.refusals)
            except AlreadyCommitted:
                return self._known()
            else:
                return self.report

    def _known(self) -> Report:
        """The report of the attempt whose COMMIT went through although its answer was lost."""
        if self._complete is None:
            raise AssertionError("a flush id was found that no attempt of this process wrote")
        return self._complete

    async def _inside(self, connection: Any) -> None:
        tenants = ",".join(sorted({work.tenant for work in self._works}))
        if not await connection.fetch(self._queries["flush_begin"], self._id, tenants):
            raise AlreadyCommitted
        await self._replay_known(connection)
        ledger = await self._admit(connection)
        positions = self.report.open_positions(len(self._works))
        await self._run_statements(connection, positions)
        await ledger.write(connection, self._queries)
        await self._remember(connection, positions)
        entries = [entry for i in positions for entry in self._works[i].audit]
        await chain.append(connection, self._queries, entries)
        await self._notify(connection, positions)

    async def _replay_known(self, connection: Any) -> None:
        asked = {
            i: work.idempotency
            for i, work in enumerate(self._works)
            if work.idempotency is not None and i not in self.report.refusals
        }
        if not asked:
            return
        keys = [(k.tenant, k.scope, k.key) for k in asked.values()]
        rows = await connection.fetch(self._queries["idempotency_find"], *map(list, zip(*keys, strict=True)))
        known = {(r["tenant"], r["scope"], r["key"]): r for r in rows}
        for i, mine in asked.items():
            row = known.get((mine.tenant, mine.scope, mine.key))
            if row is None:
                continue
            if row["request_hash"] == mine.request_hash:
                self.report.outcomes[i] = Outcome(replayed=row["response"])
            else:
                self.report.refusals[i] = IdempotencyKeyReused(mine.key)

    async def _admit(self, connection: Any) -> BudgetLedger:
        positions = self.report.open_positions(len(self._works))
        ledger = await BudgetLedger.lock(connection, self._queries, [self._works[i] for i in positions])
        for i in positions:
            refusal = ledger.admit(self._works[i])
            if refusal is not None:
                self.report.refusals[i] = refusal
        return ledger

    async def _run_statements(self, connection: Any, positions: Sequence[int]) -> None:
        groups: dict[str, list[tuple[int, int, Statement]]] = {}
        for i in positions:
            for place, statement in enumerate(self._works[i].statements):
                groups.setdefault(statement.query, []).append((i, place, statement))
        answers: dict[tuple[int, int], Mapping[str, object]] = {}
        missing: dict[int, CadreError] = {}
        for query in sorted(groups, key=self._order.__getitem__):
            group = groups[query]
            columns = zip(*((n, *statement.row) for n, (_, _, statement) in enumerate(group)), strict=True)
            rows = await connection.fetch(self._queries[query], *map(list, columns))
            by_ord = {row["ord"]: row for row in rows}
            for n, (i, place, statement) in enumerate(group):
                if n in by_ord:
                    answers[i, place] = by_ord[n]
                elif statement.expect_row:
                    missing.setdefault(i, RowMissing(query))
        if missing:
            raise Refused(missing)
        for i in positions:
            places = range(len(self._works[i].statements))
            self.report.outcomes[i] = Outcome(tuple(answers.get((i, place)) for place in places))

    async def _remember(self, connection: Any, positions: Sequence[int]) -> None:
        kept = [(i, self._works[i].idempotency) for i in positions]
        rows = [
            (n, k.tenant, k.scope, k.key, k.request_hash, json.dumps(dict(k.response)))
            for n, (_, k) in enumerate(kept)
            if k is not None
        ]
        if not rows:
            return
        found = await connection.fetch(
            self._queries["idempotency_insert"], *map(list, zip(*rows, strict=True))
        )
        written = {row["ord"] for row in found}
        lost = {kept[row[0]][0]: RowMissing("idempotency_insert") for row in rows if row[0] not in written}
        if lost:
            # Another process committed the key a moment ago: drop nothing, look again and replay it.
            raise Refused({})

    async def _notify(self, connection: Any, positions: Sequence[int]) -> None:
        channels = frozenset(channel for i in positions for channel in self._works[i].notify)
        self.report.channels = channels
        payloads = notification_payloads(self._sender, sorted(channels))
        if payloads:
            await connection.fetch(self._queries["flush_notify"], payloads)


def notification_payloads(sender: str, channels: Sequence[str]) -> list[str]:
    """Channels coalesced into as few NOTIFY payloads as their size limit (8000 bytes) permits."""
    payloads: list[str] = []
    batch: list[str] = []
    size = 0
    for channel in channels:
        if batch and size + len(channel) > NOTIFY_BYTES:
            payloads.append(json.dumps([sender, *batch]))
            batch, size = [], 0
        batch.append(channel)
        size += len(channel) + 4
    if batch:
        payloads.append(json.dumps([sender, *batch]))
    return payloads
