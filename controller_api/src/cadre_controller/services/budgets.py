"""Budgets along the path to the root: room is reserved before a model call and settled after it, so nothing
overspends."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from cadre_controller.errors import Conflict, InvalidInput
from cadre_controller.services.chart import ChartService
from cadre_controller.services.kernel import Facts, Kernel, dump, system_actor, task_channels
from cadre_controller.services.models import (
    BudgetState,
    BudgetVerdict,
    CallOutcome,
    ModelCall,
    Reservation,
)
from cadre_controller.services.periods import period_start
from cadre_controller.store.pool import Row
from cadre_controller.store.work import BudgetHold, BudgetMove, RowMissing, Statement, Work
from cadre_core.model import BudgetSpec, Node, Snapshot

STALE = timedelta(hours=1)
ABANDONED = "Abandoned"
"""Result of a call whose room was given back without its word."""
GLANCE_SECONDS = 0.5
SENT_AT_MOST = 10
"""How often one model call may be sent to a provider; each time is billed."""
_NONE = Decimal(0)


class BudgetService:
    """Reserve, settle, release; exact under any concurrency because the sums are checked under a row lock."""

    def __init__(self, kernel: Kernel, chart: ChartService) -> None:
        self._kernel = kernel
        self._chart = chart
        self._glances: dict[tuple[str, str], tuple[float, object, BudgetVerdict]] = {}

    async def glance(self, tenant: str, agent: str) -> BudgetVerdict:
        """The verdict of at most half a second ago: for taking in work; what is spent is checked exactly."""
        now, snapshot = self._kernel.clock.monotonic(), self._chart.current(tenant).snapshot
        known = self._glances.get((tenant, agent))
        if known is not None and now - known[0] < GLANCE_SECONDS and known[1] is snapshot:
            return known[2]
        verdict = await self.verdict(tenant, agent)
        self._glances[tenant, agent] = (now, snapshot, verdict)
        return verdict

    async def verdict(self, tenant: str, agent: str) -> BudgetVerdict:
        """How the tightest budget on the agent's path stands before the next call."""
        nodes = [node for node in self._path(tenant, agent) if node.budget is not None]
        states = {state.node: state for state in await self._states(tenant, nodes)}
        verdicts = [verdict_of(node.budget, states[node.key]) for node in nodes if node.budget is not None]
        return max(verdicts, key=SEVERITY.index, default=BudgetVerdict.OK)

    async def reserve(self, call: ModelCall) -> Reservation:
        """Hold `amount` and `tokens` at every node of the path, or at none.

        A call that comes again under an id that is open or settled is sent again, so it is held and billed
        again, under a number of its own; after a release the id is free.

        Raises BudgetExceeded naming the node nearest to the root, InvalidInput(CurrencyMismatch),
        Conflict(CallRepeated).
        """
        holds = tuple(self._holds(call))
        self._glances.clear()
        for number in range(1, SENT_AT_MOST + 1):
            call_id = call.call_id if number == 1 else f"{call.call_id}~{number}"
            if await self._hold(replace(call, call_id=call_id), holds):
                return Reservation(call.tenant, call.task_id, call_id)
        raise Conflict(
            "CallRepeated",
            f"this model call was sent {SENT_AT_MOST} times",
            "make it a new call with a new id",
        )

    async def _hold(self, call: ModelCall, holds: tuple[BudgetHold, ...]) -> bool:
        """False when this id is taken."""
        marks = dump([[hold.node, hold.period_start.isoformat()] for hold in holds])
        row = (
            call.tenant, call.task_id, call.call_id, call.session_id, call.agent, call.provider, call.model,
            call.purpose, call.trace_id, marks, call.amount, call.tokens, self._kernel.clock.now(),
        )  # fmt: skip
        key = f"call:{call.tenant}:{call.task_id}:{call.call_id}"
        work = Work(call.tenant, (Statement("model_call_insert", row),), frozenset({key}), holds)
        try:
            await self._kernel.submit(work)
        except RowMissing:
            return False
        return True

    async def settle(self, reservation: Reservation, outcome: CallOutcome) -> None:
        """Turn the reservation into what was really used, once; a repetition has no effect."""
        for _ in range(2):  # a sweep may give the room back between the look and the commit
            row = await self._open_call(reservation, "Reserved", ABANDONED)
            if row is None or await self._settle(reservation, row, outcome):
                return

    async def _settle(self, reservation: Reservation, row: Row, outcome: CallOutcome) -> bool:
        """False when the call has changed meanwhile."""
        used = outcome.input_tokens + outcome.output_tokens
        late = row["state"] == "Released"
        statements = (
            _settlement(reservation, "Settled", outcome, self._kernel, late=late),
            Statement(
                "task_usage",
                (
                    reservation.tenant, reservation.task_id, outcome.input_tokens, outcome.output_tokens,
                    outcome.cost, outcome.currency,
                ),
                expect_row=False,
            ),
        )  # fmt: skip
        facts = Facts(
            {
                "provider": row["provider"],
                "model": row["model"],
                "purpose": row["purpose"],
                "call": row["call_id"],
            },
            cost={"tokens": used, outcome.currency.lower(): str(outcome.cost)},
            trace_id=row["trace_id"],
        )
        return await self._close(reservation, row, statements, (outcome.cost, used), facts, outcome.result)

    async def release(self, reservation: Reservation, reason: str) -> None:
        """Give the room back: the call did not happen or cost nothing."""
        row = await self._open_call(reservation, "Reserved")
        if row is None:
            return
        nothing = CallOutcome(0, 0, _NONE, row["currency"], result=reason)
        statements = (_settlement(reservation, "Released", nothing, self._kernel),)
        facts = Facts(
            {"provider": row["provider"], "model": row["model"], "reason": reason}, trace_id=row["trace_id"]
        )
        await self._close(reservation, row, statements, (_NONE, 0), facts, "released")

    async def states(self, tenant: str) -> tuple[BudgetState, ...]:
        """Every node's budget in its current period."""
        nodes = [n for n in self._chart.current(tenant).snapshot.nodes.values() if n.budget is not None]
        return tuple(await self._states(tenant, nodes))

    async def sweep(self, tenants: Sequence[str]) -> int:
        """Give back what is held for calls that are gone: their lease ended, or their process died."""
        limit = self._kernel.clock.now() - STALE
        rows = await self._kernel.db.fetch(tenants, "model_calls_stale", limit)
        for row in rows:
            await self.release(Reservation(row["tenant"], row["task_id"], row["call_id"]), ABANDONED)
        return len(rows)

    def _path(self, tenant: str, agent: str) -> list[Node]:
        snapshot: Snapshot = self._chart.current(tenant).snapshot
        return [snapshot.nodes[key] for key in snapshot.agents[agent].path]

    def _holds(self, call: ModelCall) -> list[BudgetHold]:
        now = self._kernel.clock.now()
        holds = []
        for node in self._path(call.tenant, call.agent):
            budget = node.budget
            if budget is None:
                continue
            if budget.amount is not None and call.amount and budget.currency != call.currency:
                raise InvalidInput(
                    "CurrencyMismatch",
                    f"node {node.key} budgets in {budget.currency}, the model is priced in {call.currency}",
                    "use one currency for budgets and prices",
                )
            start = period_start(node, budget.period, now)
            holds.append(
                BudgetHold(
                    call.tenant, node.key, budget.period, start, budget.currency or "", budget.amount,
                    budget.tokens,
                    budget.on_exceeded, call.amount, call.tokens,
                )
            )  # fmt: skip
        return holds

    async def _states(self, tenant: str, nodes: Sequence[Node]) -> list[BudgetState]:
        now = self._kernel.clock.now()
        budgets = [(node, node.budget) for node in nodes if node.budget is not None]
        starts = {node.key: period_start(node, budget.period, now) for node, budget in budgets}
        rows = await self._kernel.db.fetch(
            tenant, "budget_states", tenant, list(starts), list(starts.values())
        )
        used = {row["node"]: row for row in rows}
        return [_state(node.key, budget, used.get(node.key), starts[node.key]) for node, budget in budgets]

    async def _open_call(self, reservation: Reservation, *states: str) -> Row | None:
        key = (reservation.tenant, reservation.task_id, reservation.call_id)
        row = await self._kernel.db.fetch_one(reservation.tenant, "model_call_get", *key)
        if row is None:
            return None
        abandoned = row["state"] == "Released" and row["result"] == ABANDONED
        return row if (ABANDONED if abandoned else row["state"]) in states else None

    async def _close(
        self,
        reservation: Reservation,
        row: Row,
        statements: tuple[Statement, ...],
        spent: tuple[Decimal, int],
        facts: Facts,
        result: str,
    ) -> bool:
        """Commit the end of a call; false when it has changed meanwhile."""
        tenant, task_id = reservation.tenant, reservation.task_id
        self._glances.clear()
        held = (row["amount"], row["tokens"]) if row["state"] == "Reserved" else (_NONE, 0)
        moves = tuple(
            BudgetMove(tenant, node, datetime.fromisoformat(at), spent[0], -held[0], spent[1], -held[1])
            for node, at in row["holds"]
        )
        actor = system_actor(tenant, "model-gateway")
        entry = self._kernel.audit(actor, "model.call", f"task:{task_id}", result, facts)
        keys = frozenset({f"call:{tenant}:{task_id}:{reservation.call_id}", f"task:{task_id}"})
        work = Work(
            tenant, statements, keys, moves=moves, audit=(entry,), notify=task_channels(tenant, task_id)
        )
        try:
            await self._kernel.submit(work)
        except RowMissing:
            return False
        return True


def _settlement(
    reservation: Reservation, state: str, outcome: CallOutcome, kernel: Kernel, *, late: bool = False
) -> Statement:
    row = (
        reservation.tenant, reservation.task_id, reservation.call_id, state, outcome.input_tokens,
        outcome.output_tokens, outcome.cost, outcome.currency, outcome.latency_ms, outcome.result,
        kernel.clock.now(),
    )  # fmt: skip
    return Statement("model_call_settle_late" if late else "model_call_settle", row)


_UNUSED: Row = {"spent": _NONE, "reserved": _NONE, "tokens_spent": 0, "tokens_reserved": 0, "told": ""}


def _state(node: str, budget: BudgetSpec, row: Row | None, start: datetime) -> BudgetState:
    used = {name: (row or _UNUSED)[name] for name in _UNUSED}
    return BudgetState(node, start, budget.amount, budget.currency or "", budget.tokens, **used)


def used_percent(state: BudgetState) -> Decimal:
    """How much of the cap is gone or held, of money or tokens, whichever is more."""
    shares = []
    if state.amount is not None:
        shares.append((state.spent + state.reserved) / state.amount if state.amount else Decimal(1))
    if state.tokens is not None:
        shares.append(Decimal(state.tokens_spent + state.tokens_reserved) / Decimal(max(state.tokens, 1)))
    return max(shares, default=_NONE) * 100


def verdict_of(budget: BudgetSpec, state: BudgetState) -> BudgetVerdict:
    """What this budget alone says."""
    share = used_percent(state)
    if share >= 100:
        return BudgetVerdict(budget.on_exceeded)
    return BudgetVerdict.WARN if share >= budget.warn_at_percent else BudgetVerdict.OK


SEVERITY = tuple(BudgetVerdict)
"""From the mildest verdict to the gravest."""
