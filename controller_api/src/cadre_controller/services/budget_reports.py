"""Budgets for people: how they stand, what would happen if, and a word to the heads in time."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from cadre_api.protocol.budgets import BudgetForecast, BudgetPage, BudgetQuestion, BudgetView
from cadre_api.protocol.messages import MessageType, Severity
from cadre_controller.auth.visibility import roles_on
from cadre_controller.errors import NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.budgets import SEVERITY, BudgetService, used_percent, verdict_of
from cadre_controller.services.chart import ChartService
from cadre_controller.services.kernel import Facts, Kernel, system_actor
from cadre_controller.services.messages import channel_of
from cadre_controller.services.models import BudgetState, BudgetVerdict, LiveChart
from cadre_controller.store.work import RowMissing, Statement, Work
from cadre_core.model import BudgetSpec, Node

_SEE = frozenset({"Head", "Approver", "Auditor"})
_KEPT = timedelta(days=31)


class BudgetReports:
    """Show, ask, warn."""

    def __init__(self, kernel: Kernel, chart: ChartService, budgets: BudgetService) -> None:
        self._kernel = kernel
        self._chart = chart
        self._budgets = budgets

    async def show(self, actor: Actor) -> BudgetPage:
        """The budgets of the nodes that the actor answers for; administrators see all."""
        live = self._chart.current(actor.tenant)
        found = [
            _view(live, state)
            for state in await self._budgets.states(actor.tenant)
            if _sees(live, actor, state.node)
        ]
        return BudgetPage(items=tuple(sorted(found, key=lambda view: view.node)))

    async def what_if(self, actor: Actor, asked: BudgetQuestion) -> BudgetForecast:
        """Whether an agent could spend so much now, and how its path would stand.

        Raises NotFound(UnknownAgent) for agents that the actor does not answer for, too.
        """
        live = self._chart.current(actor.tenant)
        agent = live.snapshot.agents.get(asked.agent)
        if agent is None or not _sees(live, actor, agent.node):
            raise NotFound("UnknownAgent", f"there is no agent {asked.agent} that you answer for")
        states = {state.node: state for state in await self._budgets.states(actor.tenant)}
        path = [states[key] for key in agent.path if key in states]
        after = [
            replace(
                s,
                reserved=s.reserved + Decimal(asked.amount),
                tokens_reserved=s.tokens_reserved + asked.tokens,
            )
            for s in path
        ]
        refused = [state.node for state in after if _exceeds(state, asked)]
        return BudgetForecast(
            fits=not refused,
            refused_at=refused[0] if refused else "",
            items=tuple(_view(live, state) for state in after if _sees(live, actor, state.node)),
        )

    async def warn(self, tenants: Sequence[str]) -> int:
        """Tell the heads of each node whose budget has become short, once per grade; returns how many."""
        return sum([await self._warn(tenant) for tenant in tenants])

    async def _warn(self, tenant: str) -> int:
        live, told = self._chart.current(tenant), 0
        for now in await self._budgets.states(tenant):
            state = replace(now, reserved=Decimal(0), tokens_reserved=0)  # what is held may come back
            verdict = verdict_of(_budget(live, state), state)
            known = BudgetVerdict(state.told or BudgetVerdict.OK)
            if SEVERITY.index(verdict) > SEVERITY.index(known):
                told += await self._tell(live, state, verdict)
        return told

    async def _tell(self, live: LiveChart, state: BudgetState, verdict: BudgetVerdict) -> bool:
        kernel, tenant = self._kernel, live.snapshot.tenant
        view = _view(live, state)
        heads = _heads(live, live.snapshot.nodes[state.node])
        key = (tenant, state.node, state.period_start, state.told, verdict.value)
        facts = Facts({"verdict": verdict.value, "usedPercent": str(view.used_percent)})
        entry = kernel.audit(
            system_actor(tenant, "budgets"), "budget.warn", f"node:{state.node}", verdict.value, facts
        )
        work = Work(
            tenant,
            (Statement("budget_told", key), *(self._message(tenant, head, view) for head in heads)),
            audit=(entry,),
            notify=tuple(channel_of(tenant, head) for head in heads),
        )
        try:
            await kernel.submit(work)
        except RowMissing:
            return False
        return True

    def _message(self, tenant: str, head: str, view: BudgetView) -> Statement:
        now = self._kernel.clock.now()
        cap = f"{view.amount} {view.currency}" if view.amount is not None else f"{view.tokens} tokens"
        text = (
            f"{view.used_percent} % of the budget of {view.node} ({cap} a {view.period.lower()}) is used; "
            f"at 100 %: {view.on_exceeded}."
        )
        severity = Severity.WARNING if view.verdict == BudgetVerdict.WARN else Severity.CRITICAL
        row = (
            tenant, self._kernel.ids.new("msg"), "system:budgets", head, "", MessageType.NOTE.value,
            severity.value, "", text, now, now + _KEPT, "",
        )  # fmt: skip
        return Statement("message_insert", row)


def _exceeds(state: BudgetState, asked: BudgetQuestion) -> bool:
    money = state.amount is not None and Decimal(asked.amount) and state.spent + state.reserved > state.amount
    used = state.tokens_spent + state.tokens_reserved
    return bool(money) or bool(state.tokens is not None and asked.tokens and used > state.tokens)


def _heads(live: LiveChart, node: Node) -> list[str]:
    """Opaque ids of the heads of the node, or of the nearest one above it that has any."""
    ids = {person: i for i, person in live.persons_by_id.items()}
    for key in reversed(node.path):
        heads = [m.person for m in live.snapshot.nodes[key].members if "Head" in m.roles]
        if heads:
            return [ids[person] for person in heads if person in ids]
    return []


def _sees(live: LiveChart, actor: Actor, node: str) -> bool:
    return actor.is_admin or bool(
        roles_on(live.snapshot, actor.person, live.snapshot.nodes[node].path) & _SEE
    )


def _budget(live: LiveChart, state: BudgetState) -> BudgetSpec:
    budget = live.snapshot.nodes[state.node].budget
    assert budget is not None
    return budget


def _view(live: LiveChart, state: BudgetState) -> BudgetView:
    budget = _budget(live, state)
    return BudgetView(
        node=state.node,
        period=budget.period,
        period_start=state.period_start,
        currency=state.currency,
        amount=None if state.amount is None else str(state.amount),
        spent=f"{state.spent:f}",
        reserved=f"{state.reserved:f}",
        tokens=state.tokens,
        tokens_spent=state.tokens_spent,
        tokens_reserved=state.tokens_reserved,
        used_percent=round(float(used_percent(state)), 1),
        on_exceeded=budget.on_exceeded,
        verdict=verdict_of(budget, state).value,
    )
