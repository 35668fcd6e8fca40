"""Listings as tables with few columns, the most asked-for first."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cadre_api.protocol.tasks import ApprovalView, TaskView


def print_table(
    console: Console, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str
) -> None:
    """A plain table, or one sentence when there is nothing."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
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
            task.agent,
            age(task.created_at, now),
            task.usage.cost,
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
            item.tool or item.kind.value,
            item.agent,
            ", ".join(item.approvers) or "-",
            age(item.requested_at, now),
            ", ".join(item.rules),
        )
        for item in approvals
    ]
    print_table(
        console, ("ID", "STATE", "WHAT", "AGENT", "WHO DECIDES", "AGE", "RULE"), rows, "nothing waits"
    )


def age(moment: datetime, now: datetime) -> str:
    """`5s`, `12m`, `3h`, `4d`, as kubectl says it."""
    seconds = max(0, int((now - _aware(moment)).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def one_line(text: str, width: int) -> str:
    """Text on one line, cut with an ellipsis."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
