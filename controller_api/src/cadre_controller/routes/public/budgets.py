"""Budgets: how they stand, and what would happen if."""

from cadre_api.protocol.budgets import BudgetForecast, BudgetPage, BudgetQuestion
from cadre_controller.routes.public.reader import reader
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table

TABLE = Table(Scope.PERSON)


@TABLE.get("/api/v1/budgets", Nothing, BudgetPage)
async def budgets(call: Call[Nothing]) -> Answer:
    """The budgets of the nodes that the person answers for, in their current period."""
    return await call.runtime.services.budget_reports.show(reader(call).actor)


@TABLE.post("/api/v1/budgets/what-if", BudgetQuestion, BudgetForecast)
async def what_if(call: Call[BudgetQuestion]) -> Answer:
    """Whether an agent could spend so much now; nothing is reserved."""
    return await call.runtime.services.budget_reports.what_if(reader(call).actor, call.input)
