"""`cadre down`: stop from any shell, and clean up after a crash."""

import click

from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.cli.progress import Progress
from cadre_local.supervise import control


@click.command(cls=Command)
@pass_session
def down(session: Session) -> None:
    """Stop everything that `cadre up` started, also after a crash. The data stays."""
    session.desktop_only("down", "cadre suspend AGENT stops one agent; helm uninstall removes Cadre")
    progress = Progress(session.console, quiet=not session.is_table)
    with progress:
        ended = control.stop(session.home, progress.stopping)
    session.emit(
        {"stopped": ended}, lambda console: console.print("stopped" if ended else "Cadre was not running")
    )
