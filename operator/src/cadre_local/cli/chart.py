"""`cadre apply` and `cadre plan`: the chart as files, against the chart in force."""

from pathlib import Path

import click
from rich.console import Console

from cadre_local import charts, offline
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.errors import CadreError, Exit
from cadre_local.render.plan import render_plan

source_option = click.option(
    "-f",
    "--file",
    "source",
    required=True,
    type=click.Path(path_type=Path),
    help="Chart: a directory or a file.",
)


@click.command(cls=Command)
@source_option
@click.option("--dry-run", is_flag=True, help="Let the controller check it; change nothing.")
@pass_session
def apply(session: Session, source: Path, dry_run: bool) -> None:
    """Put a chart in force, whole or not at all."""
    documents = charts.read_documents(source)
    offline.check(documents)
    answer = session.api().apply(documents, dry_run=dry_run)
    if not dry_run and session.home.chart.is_dir():
        charts.remember(session.home, source, documents)

    def render(console: Console) -> None:
        revision = str(answer.get("revision", "")).removeprefix("sha256:")[:12]
        word = "would change" if dry_run else "changed" if answer.get("changed") else "unchanged"
        console.print(f"chart {word}, revision {revision}")

    session.emit(answer, render)


@click.command(cls=Command)
@source_option
@click.option(
    "--against", type=click.Path(path_type=Path), help="Compare with another chart instead of what runs."
)
@pass_session
def plan(session: Session, source: Path, against: Path | None) -> None:
    """What a chart would change for every agent: added, removed, widened, narrowed.

    Compares with the running controller; when none runs, with the chart given by --against, or with nothing.
    """
    documents = charts.read_documents(source)
    snapshot = offline.check(documents)
    if against is None:
        try:
            answer = session.api().plan(documents)
        except CadreError as error:
            if error.code is not Exit.UNREACHABLE or session.server:
                raise
            answer = offline.offline_plan(None, snapshot)
    else:
        answer = offline.offline_plan(offline.check(charts.read_documents(against)), snapshot)
    session.emit(answer, lambda console: render_plan(console, answer))
