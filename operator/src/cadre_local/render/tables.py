"""Listings as tables with few columns, the most asked-for first."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cadre_api.protocol.tasks import ApprovalView, PermitView, TaskView

WHOLE = frozenset({"ID", "SEQ", "NAME", "TIME", "STATE", "ACTION", "TARGET", "PHASE"})
"""Columns that people copy from: never cut and never wrapped, whatever the width."""


def print_table(
    console: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    empty: str,
    *,
    cut: bool = False,
) -> None:
    """A plain table, or one sentence when there is nothing; identifiers stay whole, the others give way:
    folded, or `cut` with an ellipsis so that every row is one line.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    if not cells:
        console.print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        if name in WHOLE:
            widest = max(len(row[index]) for row in cells)
            table.add_column(name, no_wrap=True, overflow="ignore", min_width=max(widest, len(name)))
        else:
            table.add_column(name, no_wrap=cut, overflow="ellipsis" if cut else "fold")
    for row in cells:
        table.add_row(*map(escape, row))
    console.print(table)


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


def print_permits(console: Console, permits: Sequence[PermitView], now: datetime) -> None:
    """What is let through without asking, for how often and how long yet."""
    rows = [
        (item.id, short(item.agent), short(item.tool), str(item.uses_left), until(item.expires_at, now))
        for item in permits
    ]
    print_table(console, ("ID", "AGENT", "TOOL", "USES", "ENDS"), rows, "no permits")


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
