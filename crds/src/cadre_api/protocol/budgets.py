"""Budgets as people see them: what each node has, what is gone, and what would happen if."""

from datetime import datetime

from pydantic import Field

from cadre_api.protocol.base import Message, Usd


class BudgetView(Message):
    """One node's budget in its current period, with all that is below the node."""

    node: str
    period: str
    """Day | Week | Month."""
    period_start: datetime
    currency: str = ""
    amount: Usd | None = None
    """Cap; absent = none in money."""
    spent: Usd = "0"
    reserved: Usd = "0"
    """Held for calls that are under way."""
    tokens: int | None = None
    tokens_spent: int = 0
    tokens_reserved: int = 0
    used_percent: float
    """Spent and reserved, of money or of tokens, whichever is nearer to its cap."""
    on_exceeded: str
    """Downshift | LocalOnly | Stop."""
    verdict: str
    """Ok | Warn, or `onExceeded` once nothing is left."""


class BudgetPage(Message):
    """The budgets that one may see."""

    items: tuple[BudgetView, ...]


class BudgetQuestion(Message):
    """POST /api/v1/budgets/what-if: may an agent spend this?"""

    agent: str
    """`namespace/name`."""
    amount: str = Field(default="0", pattern=r"^\d{1,12}(\.\d{1,9})?$")
    tokens: int = Field(default=0, ge=0, le=10**12)


class BudgetForecast(Message):
    """What would be left on the way from the root to the agent; nothing is reserved."""

    fits: bool
    refused_at: str = ""
    """The node nearest to the root that has no room."""
    items: tuple[BudgetView, ...]
    """As it would be then."""
