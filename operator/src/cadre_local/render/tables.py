"""Listings as tables with few columns, the most asked-for first."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cadre_api.protocol.tasks import ApprovalView, TaskView

WHOLE = frozenset({"ID", "SEQ", "NAME", "TIME", "STATE", "ACTION", "TARGET"})
"""Columns that people copy from: never cut and never wrapped, whatever the width."""


def print_table(
    console: Console, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str
) -> None:
    """A plain table, or one sentence when there is nothing; identifiers stay whole, the others give way."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        if name in WHOLE:
            table.add_column(name, no_wrap=True, overflow="ignore")
        else:
            table.add_column(name, overflow="fold")
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007 - the count is used after the loop
        table.add_row(*(escape(str(cell)) for cell in row))
    if count:
        console.print(table)
    else:
        console.print(empty)


def print_tasks(console: Console, tasks: Sequence[TaskView], now: datetime) -> None:
    """Tasks, newest first."""
    rows = [
        (
            task.id,
            task.state.value,
            short(task.agent),
            age(task.created_at, now),
            money(task.usage.cost),
            one_line(task.prompt, 60),
        )
        for task in tasks
    ]
    print_table(console, ("ID", "STATE", "AGENT", "AGE", "COST", "PROMPT"), rows, "no tasks")


def print_approvals(console: Console, approvals: Sequence[ApprovalView], now: datetime) -> None:
    """What waits, or was decided."""
    rows = [
        (
            item.id,
            item.state.value,
            short(item.tool) or item.kind.value,
            short(item.agent),
            ", ".join(map(short, item.approvers)) or "-",
            age(item.requested_at, now),
        )
        for item in approvals
    ]
    print_table(console, ("ID", "STATE", "WHAT", "AGENT", "WHO DECIDES", "AGE"), rows, "nothing waits")


def age(moment: datetime, now: datetime) -> str:
    """`5s`, `12m`, `3h`, `4d`, as kubectl says it."""
    seconds = max(0, int((now - _aware(moment)).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def until(moment: datetime, now: datetime) -> str:
    """How long it is until then, as `age` says it."""
    return age(now, _aware(moment))


def short(key: str) -> str:
    """A key without its namespace, which is the same for all that one person sees."""
    return key.partition("/")[2] or key


def money(amount: str) -> str:
    """A cost with at most four places after the point; `-o json` has all of them."""
    whole, _, places = amount.partition(".")
    return f"{whole}.{places[:4]}" if places else whole


def one_line(text: str, width: int) -> str:
    """Text on one line, cut with an ellipsis."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
