"""A unit of change: everything that must be true together or not at all, described as data so that many can
share a commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from cadre_controller.errors import Conflict

type_row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One row for a set-based query, whose parameters are `ord` and then one array per column of `row`."""

    query: str
    row: type_row
    expect_row: bool = True
    """The query must answer with this row's `ord`, else the whole work is refused with RowMissing."""


@dataclass(frozen=True, slots=True)
class BudgetHold:
    """Room wanted in one node's budget."""

    tenant: str
    node: str
    period: str
    period_start: datetime
    currency: str
    cap_amount: Decimal | None
    cap_tokens: int | None
    on_exceeded: str
    amount: Decimal
    tokens: int


@dataclass(frozen=True, slots=True)
class BudgetMove:
    """A change of a budget row that needs no check: settling and releasing."""

    tenant: str
    node: str
    period_start: datetime
    spent: Decimal
    reserved: Decimal
    tokens_spent: int
    tokens_reserved: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A record to seal, with the columns it is found by and the salts that make its commitments erasable."""

    canonical: bytes
    """The record's bytes; all of a link that does not hang on the head, so that no flush has to make them."""
    tenant: str
    event_id: str
    at: datetime
    actor_id: str
    action: str
    target: str
    result: str
    trace_id: str
    salts: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The answer to give whenever this key comes again; another request hash under the key is an error."""

    tenant: str
    scope: str
    key: str
    request_hash: str
    response: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Work:
    """What one request wants committed.

    Works that share one of `keys` never share a flush: each then sees what the earlier one did.
    """

    tenant: str
    statements: tuple[Statement, ...] = ()
    keys: frozenset[str] = frozenset()
    holds: tuple[BudgetHold, ...] = ()
    moves: tuple[BudgetMove, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    idempotency: Idempotency | None = None
    notify: tuple[str, ...] = ()
    urgent: bool = False
    """Goes before everything that waits, whoever's it is."""

    def all_keys(self) -> frozenset[str]:
        """`keys` and the idempotency key."""
        if self.idempotency is None:
            return self.keys
        known = self.idempotency
        return self.keys | {f"idempotency:{known.tenant}:{known.scope}:{known.key}"}


def together(works: Sequence[Work]) -> Work:
    """Several works of one tenant as one: all of them or none."""
    return Work(
        works[0].tenant,
        tuple(statement for work in works for statement in work.statements),
        frozenset[str]().union(*(work.keys for work in works)),
        tuple(hold for work in works for hold in work.holds),
        tuple(move for work in works for move in work.moves),
        tuple(entry for work in works for entry in work.audit),
        works[0].idempotency,
        tuple(channel for work in works for channel in work.notify),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """A committed work: per statement the row its query answered with, or the recorded response of an
    earlier commit."""

    rows: tuple[Mapping[str, object] | None, ...] = ()
    replayed: Mapping[str, object] | None = None


class RowMissing(Conflict):
    """A statement found its row gone or changed; nothing of the work was done."""

    def __init__(self, query: str) -> None:
        super().__init__(
            "StateChanged", "the state changed meanwhile; nothing was done", "read again and retry"
        )
        self.query = query


class Rejected(Conflict):
    """The database refused the row (a constraint); nothing of the work was done."""

    def __init__(self, detail: str) -> None:
        super().__init__("Rejected", f"the database refused the change ({detail})", "check the request")
