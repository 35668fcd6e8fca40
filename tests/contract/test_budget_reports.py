"""Budgets for people, on real Postgres: who sees which, what would fit, and one warning per grade."""

import json
from decimal import Decimal

import pytest

from cadre_api.protocol.budgets import BudgetQuestion
from cadre_api.protocol.tasks import TaskCreate
from cadre_controller.errors import NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.assembly import Services
from cadre_controller.services.models import CallOutcome, ModelCall, Reservation
from tests.contract.conftest import TENANT

pytestmark = pytest.mark.postgres
AGENT, NODE, ROOT = "orbit/finance-1", "orbit/finance", "orbit/orbit"


@pytest.fixture
async def task(services: Services, clerk: Actor) -> str:
    return (await services.tasks.create(clerk, TaskCreate(prompt="Go.", agent="finance-1"))).view.id


async def spend(services: Services, task: str, amount: str) -> None:
    """One call that costs what it held."""
    await services.budgets.settle(await held(services, task, amount), CallOutcome(5, 5, Decimal(amount)))


async def held(services: Services, task: str, amount: str) -> Reservation:
    call = ModelCall(TENANT, AGENT, task, "s", amount, "orbit/models", "small", "work", Decimal(amount), 10)
    return await services.budgets.reserve(call)


def person(services: Services, name: str) -> Actor:
    return services.directory.person_actor(TENANT, name)


async def test_spending_rolls_up_and_is_shown_to_who_answers(services: Services, task: str) -> None:
    await spend(services, task, "1.00")
    await held(services, task, "0.50")
    for name, nodes in (("boss", [NODE, ROOT]), ("head", [NODE]), ("clerk", []), ("seller", [])):
        page = await services.budget_reports.show(person(services, name))
        assert [view.node for view in page.items] == nodes
    finance, root = (await services.budget_reports.show(services.directory.admin_actor(TENANT))).items
    assert [Decimal(x) for x in (finance.spent, finance.reserved, root.spent)] == [1, Decimal("0.5"), 1]
    assert (finance.used_percent, finance.verdict, root.used_percent) == (30.0, "Ok", 15.0)


async def test_what_if_reserves_nothing(services: Services, task: str) -> None:
    head = person(services, "head")
    asked = BudgetQuestion(agent=AGENT, amount="4.50", tokens=10)
    fits = await services.budget_reports.what_if(head, asked)
    assert (fits.fits, fits.refused_at, [v.verdict for v in fits.items]) == (True, "", ["Warn"])
    for much in ({"amount": "5.01"}, {"tokens": 100_001}):
        none = await services.budget_reports.what_if(head, BudgetQuestion(agent=AGENT, **much))  # type: ignore[arg-type]
        assert (none.fits, none.refused_at) == (False, NODE)
    root_first = await services.budget_reports.what_if(head, BudgetQuestion(agent=AGENT, amount="10.01"))
    assert root_first.refused_at == ROOT
    await spend(services, task, "5.00")
    free = await services.budget_reports.what_if(head, BudgetQuestion(agent=AGENT))
    assert free.fits and free.items[0].verdict == "Downshift"
    for who, agent in (("seller", AGENT), ("head", "orbit/nobody")):
        with pytest.raises(NotFound):
            await services.budget_reports.what_if(person(services, who), BudgetQuestion(agent=agent))


async def test_heads_are_told_once_per_grade(services: Services, task: str) -> None:
    head = person(services, "head").id

    async def told() -> list[tuple[str, str]]:
        await services.budget_reports.warn((TENANT,))
        page = await services.messages.inbox(TENANT, head)
        return [(view.severity.value, view.body) for view in reversed(page.items)]

    await spend(services, task, "3.00")
    open_call = await held(services, task, "2.00")
    assert await told() == []
    await services.budgets.settle(open_call, CallOutcome(5, 5, Decimal("1.20")))
    text = "84.0 % of the budget of orbit/finance (5.00 USD a month) is used; at 100 %: Downshift."
    first = ("Warning", text)
    assert await told() == [first]
    assert await told() == [first]
    await spend(services, task, "0.80")
    assert [severity for severity, _ in await told()] == ["Warning", "Critical"]
    assert len(await told()) == 2
    events = await services.audit.list(TENANT, action="budget.warn", target=f"node:{NODE}")
    assert [json.loads(event.canonical)["result"] for event in events] == ["Warn", "Downshift"]
