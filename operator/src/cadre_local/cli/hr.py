"""`cadre import`: an HR export becomes Persons and OrgNodes; who joins, moves and leaves is said first."""

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import click
import yaml
from rich.console import Console
from rich.text import Text

from cadre_api.protocol.base import type_json
from cadre_api.v1alpha1 import API_VERSION
from cadre_local import charts, offline
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.errors import CadreError, Exit
from cadre_local.hr.chart import LEVELS, Import, Rules, build
from cadre_local.hr.rows import read_rows
from cadre_local.objects import KINDS, as_documents, dig, key_of
from cadre_local.problems import ChartInvalidError

STYLES = {"+": "green", ">": "cyan", "~": "yellow", "-": "red"}
_CLUSTERS = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "annotations")


@click.command("import", cls=Command)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--issuer", default="", help="Identity provider of persons whose row names none.")
@click.option("--apply", "do_apply", is_flag=True, help="Write it instead of printing YAML.")
@click.option(
    "--against", type=click.Path(path_type=Path), help="Compare with this chart instead of the one in force."
)
@click.option("--new", "fresh", is_flag=True, help="Compare with nothing: make a new chart.")
@click.option("--on", "day", type=click.DateTime(["%Y-%m-%d"]), help="Who has left by then is gone. [today]")
@click.option("--levels", default=",".join(LEVELS), show_default=True, help="Types of units, top first.")
@pass_session
def import_(
    session: Session,
    file: Path,
    issuer: str,
    do_apply: bool,
    against: Path | None,
    fresh: bool,
    day: datetime | None,
    levels: str,
) -> int:
    """Turn an HR export (CSV) into Persons and OrgNodes.

    What is new or changed goes to standard output as YAML; who joins (+), moves (>), leaves (-) to standard
    error. Columns: employee, name, unit (Acme/Corporate/Finance); optional: email, roles (Head; Member; …) or
    manager, subject, issuer, clearance, end (YYYY-MM-DD). Any bad row: nothing is written.
    """
    employees, problems = read_rows(str(file), _text(file), issuer)
    if problems:
        raise ChartInvalidError(problems)
    chart = [] if fresh else _chart(session, against)
    rules = Rules(_namespace(session, chart), day.date() if day else _today(), tuple(levels.split(",")))
    result = build(employees, chart, rules)
    _tell(result, quiet=not session.is_table)
    if do_apply:
        return _apply(session, chart, result)
    _print(session, result)
    return int(Exit.OK)


def _today() -> date:
    return datetime.now(UTC).date()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CadreError(
            "NotUtf8", f"{file} is not UTF-8 text (byte {error.start})", "export it as UTF-8 CSV"
        ) from error
    except OSError as error:
        raise CadreError(
            "Unreadable", f"cannot read {file}: {error.strerror}", "check its path", Exit.USAGE
        ) from error


def _chart(session: Session, against: Path | None) -> list[type_json]:
    """The chart to compare with, as plain documents."""
    if against is not None:
        return offline.plain_documents(charts.read_documents(against))
    if cluster := session.cluster:
        return [
            _clean(d)
            for kind in KINDS.values()
            for d in cluster.kube.resources(kind, cluster.connection.namespace)
        ]
    try:
        api = session.api()
        return [document for kind in KINDS.values() for document in api.resources(kind)]
    except CadreError as error:
        if error.code is not Exit.UNREACHABLE and error.reason != "ChartMissing":
            raise
        fix = "pass --against DIR, or --new for a new chart"
        raise CadreError(
            "NothingToCompare", f"no chart is in force here: {error.message}", fix, Exit.USAGE
        ) from error


def _clean(document: type_json) -> type_json:
    metadata = document.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    kept = {key: value for key, value in named.items() if key not in _CLUSTERS}
    return {
        "apiVersion": API_VERSION,
        "kind": document["kind"],
        "metadata": kept,
        "spec": document.get("spec", {}),
    }


def _namespace(session: Session, chart: Sequence[type_json]) -> str:
    if cluster := session.cluster:
        return cluster.connection.namespace
    roots = [d for d in chart if d.get("kind") == "OrgNode" and not dig(d, "spec", "parentRef", "name")]
    return (dig(roots[0], "metadata", "namespace") if roots else session.namespace) or "default"


def _tell(result: Import, *, quiet: bool) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for line in () if quiet else result.changes:
        console.print(Text(line, STYLES[line[0]]))
    if not quiet and not result.documents:
        console.print("nothing changes")


def _print(session: Session, result: Import) -> None:
    if session.output in ("json", "name"):
        session.emit({"items": result.documents, "changes": result.changes}, lambda console: None)
        return
    yaml.safe_dump_all(result.documents, sys.stdout, sort_keys=False, allow_unicode=True)


def _apply(session: Session, chart: Sequence[type_json], result: Import) -> int:
    if cluster := session.cluster:
        from cadre_local.cli.chart import apply_in_cluster

        return apply_in_cluster(session, cluster, tuple(as_documents(result.documents)))
    changed = {(str(d["kind"]), key_of(d)) for d in result.documents}
    whole = [d for d in chart if (str(d["kind"]), key_of(d)) not in changed] + result.documents
    documents = tuple(as_documents(whole))
    offline.check(documents)
    answer = session.api().apply(documents)
    session.emit(
        answer, lambda console: console.print("chart changed" if answer.get("changed") else "unchanged")
    )
    return int(Exit.OK)
