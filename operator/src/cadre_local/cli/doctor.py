"""`cadre doctor`: every prerequisite, checked for real, with its fix."""

import click
from rich.console import Console
from rich.markup import escape

from cadre_local.check import Check
from cadre_local.cli.context import DEFAULT_GUARD_PORT, Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.client.target import DEFAULT_PORT
from cadre_local.errors import CadreError, Exit

MARKS = {"Ok": "[green]✓[/]", "Warn": "[yellow]![/]", "Fail": "[red]✗[/]"}


@click.command(cls=Command)
@click.option("--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True)
@click.option("--guard-port", type=click.IntRange(1, 65535), default=DEFAULT_GUARD_PORT, show_default=True)
@pass_session
def doctor(session: Session, port: int, guard_port: int) -> int:
    """Check what Cadre needs on this machine, or in the cluster that is meant, and name each fix."""
    found = _in_cluster(session) if session.in_cluster else _on_desktop(session, port, guard_port)

    def render(console: Console) -> None:
        for check in found:
            console.print(f"{MARKS[check.result]} {check.name:<16} {escape(check.message)}")
            if check.fix:
                console.print(f"  [dim]→ {escape(check.fix)}[/]")

    data = [{"name": c.name, "result": c.result, "message": c.message, "fix": c.fix} for c in found]
    session.emit({"checks": data}, render)
    return int(Exit.REFUSED if any(check.result == "Fail" for check in found) else Exit.OK)


def _on_desktop(session: Session, port: int, guard_port: int) -> tuple[Check, ...]:
    from cadre_local import checks

    return checks.run_all(session.home, session.environ, {"--port": port, "--guard-port": guard_port})


def _in_cluster(session: Session) -> tuple[Check, ...]:
    from cadre_local.kube import checks

    try:
        cluster = session.cluster_only("doctor", "")
    except CadreError as error:
        return (Check("kubeconfig", "Fail", error.message, error.fix),)
    return tuple(checks.run_all(cluster))
