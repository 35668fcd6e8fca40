"""What became of each object that was applied, a line each, and what to do next."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from cadre_local.kube.chart import Written

STYLES = {"created": "green", "configured": "cyan", "unchanged": "dim", "held": "yellow", "refused": "red"}


def print_written(console: Console, written: Written, *, dry_run: bool) -> None:
    """One object; why it was refused or waits below."""
    line = Text(f"{written.subject} ")
    line.append(written.outcome, STYLES[written.outcome])
    line.append(" (dry run)" if dry_run else "", "dim")
    console.print(line)
    if written.message:
        console.print(Text(f"  {written.message}", STYLES[written.outcome]))
    for warning in written.warnings:
        console.print(Text(f"  warning: {warning}", "yellow"))


def summary(done: Sequence[Written], program: str) -> str:
    """How many of each, and the next command."""
    counts = Counter(written.outcome for written in done)
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in STYLES if counts[outcome])
    follow = f"{program} approvals" if counts["held"] else f"{program} status"
    return f"{told}; next: {follow}"
