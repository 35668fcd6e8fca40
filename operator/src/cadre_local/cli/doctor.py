"""`cadre doctor`: every prerequisite, checked for real, with its fix."""

import click
from rich.console import Console
from rich.markup import escape

from cadre_local import checks
from cadre_local.cli.context import DEFAULT_GUARD_PORT, DEFAULT_PORT, Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.errors import Exit

MARKS = {"Ok": "[green]✓[/]", "Warn": "[yellow]![/]", "Fail": "[red]✗[/]"}


@click.command(cls=Command)
@click.option("--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True)
@click.option("--guard-port", type=click.IntRange(1, 65535), default=DEFAULT_GUARD_PORT, show_default=True)
@pass_session
def doctor(session: Session, port: int, guard_port: int) -> int:
    """Check what Cadre needs on this machine, and name each fix."""
    found = checks.run_all(session.home, session.environ, {"--port": port, "--guard-port": guard_port})

    def render(console: Console) -> None:
        for check in found:
            console.print(f"{MARKS[check.result]} {check.name:<16} {escape(check.message)}")
            if check.fix:
                console.print(f"  [dim]→ {escape(check.fix)}[/]")

    data = [{"name": c.name, "result": c.result, "message": c.message, "fix": c.fix} for c in found]
    session.emit({"checks": data}, render)
    return int(Exit.REFUSED if any(check.result == "Fail" for check in found) else Exit.OK)
