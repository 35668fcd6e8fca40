"""`cadre budgets`: how each node's budget stands, and what a plan would do to it."""

import click
from rich.console import Console

from cadre_api.protocol.budgets import BudgetForecast, BudgetPage, BudgetView
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.errors import Exit


@click.command(cls=Command)
@click.option("--agent", default="", metavar="NS/NAME", help="Would this agent be allowed to spend …")
@click.option("--amount", default="0", help="… so much money, in the budget's currency …")
@click.option("--tokens", default=0, type=click.IntRange(min=0), help="… and so many tokens?")
@pass_session
def budgets(session: Session, agent: str, amount: str, tokens: int) -> int:
    """How the budgets stand; with --agent, what a plan would do (ends with 0 if it fits)."""
    if not agent:
        page = BudgetPage.model_validate(session.api().http.json("GET", "/api/v1/budgets"))
        session.emit(page, lambda console: _table(console, page.items))
        return int(Exit.OK)
    asked = {"agent": agent, "amount": amount, "tokens": tokens}
    answer = session.api().http.json("POST", "/api/v1/budgets/what-if", asked)
    found = BudgetForecast.model_validate(answer)
    session.emit(found, lambda console: _forecast(console, found))
    return int(Exit.OK if found.fits else Exit.REFUSED)


def _forecast(console: Console, found: BudgetForecast) -> None:
    console.print("it fits" if found.fits else f"no room at {found.refused_at}", markup=False)
    _table(console, found.items)


def _table(console: Console, items: tuple[BudgetView, ...]) -> None:
    for view in items:
        money = f"{view.spent} of {view.amount} {view.currency}" if view.amount is not None else ""
        tokens = f"{view.tokens_spent} of {view.tokens} tokens" if view.tokens is not None else ""
        used = ", ".join(filter(None, (money, tokens)))
        line = f"{view.node}  {view.verdict}  {view.used_percent} % a {view.period.lower()}: {used}"
        console.print(line, markup=False, highlight=False)
