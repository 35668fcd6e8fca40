"""Budgets inside a flush: rows locked in one order, holds decided one after the other on exact sums, nothing
overspent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from cadre_controller.errors import BudgetExceeded
from cadre_controller.store.work import BudgetHold, Work

type_key = tuple[str, str, datetime]


@dataclass(slots=True)
class _Row:
    """A locked row with what this flush adds to it."""

    amount_used: Decimal
    tokens_used: int
    spent: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)
    tokens_spent: int = 0
    tokens_reserved: int = 0

    def fits(self, hold: BudgetHold) -> bool:
        amount = self.amount_used + self.spent + self.reserved + hold.amount
        tokens = self.tokens_used + self.tokens_spent + self.tokens_reserved + hold.tokens
        return (hold.cap_amount is None or hold.amount == 0 or amount <= hold.cap_amount) and (
            hold.cap_tokens is None or hold.tokens == 0 or tokens <= hold.cap_tokens
        )


class BudgetLedger:
    """The budget rows that one flush touches."""

    def __init__(self, rows: dict[type_key, _Row]) -> None:
        self._rows = rows

    @classmethod
    async def lock(cls, connection: Any, queries: Mapping[str, str], works: Sequence[Work]) -> "BudgetLedger":
        """Create what is missing and lock everything touched, in key order."""
        holds = {(h.tenant, h.node, h.period_start): h for w in works for h in w.holds}
        keys = sorted(set(holds) | {(m.tenant, m.node, m.period_start) for w in works for m in w.moves})
        if not keys:
            return cls({})
        if holds:
            fresh = [(*key, holds[key].period, holds[key].currency) for key in sorted(holds)]
            await connection.fetch(queries["budget_ensure"], *map(list, zip(*fresh, strict=True)))
        found = await connection.fetch(queries["budget_lock"], *map(list, zip(*keys, strict=True)))
        return cls(
            {
                (row["tenant"], row["node"], row["period_start"]): _Row(
                    row["spent"] + row["reserved"], row["tokens_spent"] + row["tokens_reserved"]
                )
                for row in found
            }
        )

    def admit(self, work: Work) -> BudgetExceeded | None:
        """Take the work's holds and moves in, all of them or none; the refusal names the node nearest to the
        root."""
        for hold in work.holds:
            if not self._rows[hold.tenant, hold.node, hold.period_start].fits(hold):
                return BudgetExceeded(hold.node, hold.on_exceeded)
        for hold in work.holds:
            row = self._rows[hold.tenant, hold.node, hold.period_start]
            row.reserved += hold.amount
            row.tokens_reserved += hold.tokens
        for move in work.moves:
            row = self._rows[move.tenant, move.node, move.period_start]
            row.spent += move.spent
            row.reserved += move.reserved
            row.tokens_spent += move.tokens_spent
            row.tokens_reserved += move.tokens_reserved
        return None

    async def write(self, connection: Any, queries: Mapping[str, str]) -> None:
        """Write the sums back."""
        changed = [
            (*key, r.spent, r.reserved, r.tokens_spent, r.tokens_reserved)
            for key, r in sorted(self._rows.items())
            if r.spent or r.reserved or r.tokens_spent or r.tokens_reserved
        ]
        if changed:
            await connection.fetch(queries["budget_apply"], *map(list, zip(*changed, strict=True)))
