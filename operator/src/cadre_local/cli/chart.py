"""`cadre apply` and `cadre plan`: the chart as files, against the chart in force."""

from pathlib import Path

import click
from rich.console import Console

from cadre_api.protocol.base import type_json
from cadre_local import charts
from cadre_local.charts import Documents
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.errors import CadreError, Exit
from cadre_local.kube.target import ClusterTarget
from cadre_local.render.plan import render_plan

CHANGES = 2
"""Exit code of a plan that changes something, when one asks for it."""
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
@click.option("--dry-run", is_flag=True, help="Let it be checked where it would go; change nothing.")
@click.option("--force-conflicts", "force", is_flag=True, help="Cluster: take fields over from other tools.")
@pass_session
def apply(session: Session, source: Path, dry_run: bool, force: bool) -> int:
    """Put a chart in force.

    On a desktop the files are the whole chart, applied whole or not at all. In a cluster they are objects
    among others, applied one by one (server-side, as kubectl does): admission lets through what you may
    write, holds what needs consent, and refuses the rest.
    """
    documents = charts.read_documents(source, session.note)
    if cluster := session.cluster:
        return apply_in_cluster(session, cluster, documents, dry_run=dry_run, force=force)
    from cadre_local import offline

    offline.check(documents)
    answer = session.api().apply(documents, dry_run=dry_run)
    if not dry_run and session.home.chart.is_dir():
        charts.remember(session.home, source, documents)

    def render(console: Console) -> None:
        revision = str(answer.get("revision", "")).removeprefix("sha256:")[:12]
        word = "would change" if dry_run else "changed" if answer.get("changed") else "unchanged"
        console.print(f"chart {word}, revision {revision}")

    session.emit(answer, render)
    return int(Exit.OK)


def apply_in_cluster(
    session: Session,
    cluster: ClusterTarget,
    documents: Documents,
    *,
    dry_run: bool = False,
    force: bool = False,
) -> int:
    """Apply object by object and tell each outcome; the exit code says whether all got through."""
    from cadre_local.kube import chart
    from cadre_local.render.written import print_written, summary

    files = chart.read(documents, cluster.connection.namespace)
    console = session.console

    def tell(written: chart.Written) -> None:
        if session.is_table:
            print_written(console, written, dry_run=dry_run)

    done = chart.write(cluster, files, tell, dry_run=dry_run, force=force)
    data = {"items": [written.plain() for written in done]}
    session.emit(data, lambda console: console.print(summary(done, session.program), style="dim"))
    refused = any(written.outcome == "refused" for written in done)
    return int(Exit.REFUSED if refused else Exit.OK)


@click.command(cls=Command)
@source_option
@click.option(
    "--against", type=click.Path(path_type=Path), help="Compare with another chart instead of what runs."
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when something changes, 0 when nothing does.")
@pass_session
def plan(session: Session, source: Path, against: Path | None, detailed_exitcode: bool) -> int:
    """What a chart would change for every agent: added, removed, widened, narrowed.

    On a desktop the files are the whole chart; compared with the running controller, and when none runs with
    the chart given by --against, or with nothing. In a cluster they are laid over the tenant's objects.

    Exit codes with --detailed-exitcode: 0 nothing changes, 1 the chart is refused, 2 something changes.
    """
    documents = charts.read_documents(source, session.note)
    answer = _plan(session, documents, against)
    session.emit(answer, lambda console: render_plan(console, answer))
    return CHANGES if detailed_exitcode and _changes(answer) else int(Exit.OK)


def _plan(session: Session, documents: Documents, against: Path | None) -> type_json:
    from cadre_local import offline

    if against is not None:
        former = offline.check(charts.read_documents(against))
        return offline.offline_plan(former, offline.check(documents))
    if cluster := session.cluster:
        return _plan_in_cluster(cluster, documents)
    snapshot = offline.check(documents)
    try:
        return session.api().plan(documents)
    except CadreError as error:
        if error.code is not Exit.UNREACHABLE or session.server:
            raise
        return offline.offline_plan(None, snapshot)


def _plan_in_cluster(cluster: ClusterTarget, documents: Documents) -> type_json:
    from cadre_local import offline
    from cadre_local.kube import chart

    before, after = chart.merged(cluster, chart.read(documents, cluster.connection.namespace))
    return offline.offline_plan(offline.compiled_or_none(before), offline.compiled(after))


def _changes(answer: type_json) -> bool:
    agents = answer.get("agents")
    found = agents if isinstance(agents, list | tuple) else []
    return any(isinstance(item, dict) and item.get("change") != "Same" for item in found)
