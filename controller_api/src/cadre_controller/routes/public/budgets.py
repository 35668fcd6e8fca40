"""Budgets: how they stand, and what would happen if."""

from aiohttp import web

from cadre_api.protocol.budgets import BudgetForecast, BudgetPage, BudgetQuestion, BudgetView
from cadre_controller.routes.public.reader import reader
from cadre_controller.routes.sheets import HEADERS, csv_lines
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table

TABLE = Table(Scope.PERSON)


@TABLE.get("/api/v1/budgets", Nothing, BudgetPage)
async def budgets(call: Call[Nothing]) -> Answer:
    """The budgets of the nodes that the person answers for, in their current period."""
    return await call.runtime.services.budget_reports.show(reader(call).actor)


@TABLE.get("/api/v1/budgets/export", Nothing, None)
async def export(call: Call[Nothing]) -> Answer:
    """The same as CSV, a line for each node."""
    page = await call.runtime.services.budget_reports.show(reader(call).actor)
    names = [field.alias or name for name, field in BudgetView.model_fields.items()]
    rows = [view.model_dump(mode="json", by_alias=True) for view in page.items]
    lines = csv_lines([names, *([row[name] for name in names] for row in rows)])
    return web.Response(body=lines, headers=HEADERS)


@TABLE.post("/api/v1/budgets/what-if", BudgetQuestion, BudgetForecast)
async def what_if(call: Call[BudgetQuestion]) -> Answer:
    """Whether an agent could spend so much now; nothing is reserved."""
    return await call.runtime.services.budget_reports.what_if(reader(call).actor, call.input)
