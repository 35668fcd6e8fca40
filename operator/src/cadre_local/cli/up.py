"""`cadre up`: check everything first, then start, and show progress that is true."""

import os
import subprocess
import sys
import time
from pathlib import Path

import click

from cadre_local import charts, goose, offline, ports, state
from cadre_local.cli.context import (
    DEFAULT_GUARD_PORT,
    DEFAULT_SCRIPTED_PORT,
    Session,
    pass_session,
)
from cadre_local.cli.framework import Command
from cadre_local.cli.progress import Progress
from cadre_local.client.target import DEFAULT_PORT
from cadre_local.errors import CadreError, Exit
from cadre_local.paths import Home
from cadre_local.state import Ports, RunState
from cadre_local.supervise import control, leftovers
from cadre_local.supervise.fleet import can_work, key_of, should_run
from cadre_local.supervise.options import UpOptions

PORT = click.IntRange(1, 65535)


@click.command(cls=Command)
@click.option(
    "-f", "--file", "source", type=click.Path(path_type=Path), help="Chart: a directory or a YAML file."
)
@click.option(
    "--scripted", type=click.Path(path_type=Path), help="Play this scenario instead of using a model."
)
@click.option(
    "--foreground/--detach", default=False, help="Stay until Ctrl-C, or return when ready (default)."
)
@click.option("--port", type=PORT, help=f"Public API. [default: {DEFAULT_PORT}]")
@click.option("--guard-port", type=PORT, help=f"For guards. [default: {DEFAULT_GUARD_PORT}]")
@click.option(
    "--scripted-port", type=PORT, help=f"For the scripted model. [default: {DEFAULT_SCRIPTED_PORT}]"
)
@pass_session
def up(
    session: Session,
    source: Path | None,
    scripted: Path | None,
    foreground: bool,
    port: int | None,
    guard_port: int | None,
    scripted_port: int | None,
) -> int:
    """Start everything on this machine and apply a chart.

    The chart is checked first; when anything is wrong with it, nothing starts and nothing changes. Run it
    again with another chart to apply that one, or without -f to continue where it was: same chart, same
    ports, same scripted model.
    """
    session.desktop_only("up", "helm install cadre charts/cadre, then kubectl cadre apply -f DIR")
    home = session.home
    home.check()
    documents = charts.read_documents(source, session.note) if source else ()
    if documents:
        offline.check(documents)
    if current := control.running(home):
        _update(session, current, source, documents)
        return int(Exit.OK)
    last = None if source else state.load(home)
    scripted = scripted or _last_scenario(last)
    chosen = Ports(
        public=port or (last.ports.public if last else DEFAULT_PORT),
        guard=guard_port or (last.ports.guard if last else DEFAULT_GUARD_PORT),
        scripted=_scripted_port(scripted, scripted_port, last),
    )
    options = _prepare(session, home, source, scripted, chosen)
    return _start(session, control.launch(options, die_with_us=foreground), foreground)


def _last_scenario(last: RunState | None) -> Path | None:
    return Path(last.scripted) if last and last.scripted else None


def _scripted_port(scripted: Path | None, named: int | None, last: RunState | None) -> int:
    if scripted is None:
        return 0
    return named or (last.ports.scripted if last else 0) or DEFAULT_SCRIPTED_PORT


def _prepare(
    session: Session, home: Home, source: Path | None, scripted: Path | None, chosen: Ports
) -> UpOptions:
    """Everything that can be known to fail before anything starts."""
    if len({chosen.public, chosen.guard, chosen.scripted}) < 3:
        raise CadreError("PortsCollide", "two of the ports are the same", "choose different ones", Exit.USAGE)
    if scripted:
        _check_scenario(scripted)
    leftovers.clean(home)
    ports.check_free(chosen.public, "--port", "public API")
    ports.check_free(chosen.guard, "--guard-port", "guards")
    if chosen.scripted:
        ports.check_free(chosen.scripted, "--scripted-port", "scripted model")
    binary = _find_goose(session)
    home.create()
    return UpOptions(
        home=home.root,
        ports=chosen,
        chart=source.resolve() if source else None,
        scripted=scripted.resolve() if scripted else None,
        goose=str(binary.path),
        goose_version=binary.version,
        database_url=session.environ.get("CADRE_DATABASE_URL", ""),
    )


def _find_goose(session: Session) -> goose.Goose:
    search = goose.search(session.environ)
    try:
        return search.resolve(install=False)
    except CadreError as error:
        if error.reason == "GooseMissing" and not session.environ.get("CADRE_GOOSE"):
            session.console.print("goose is not installed: fetching the pinned one (about 300 MB, once) …")
            return search.resolve()
        raise


def _check_scenario(scenario: Path) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "cadre_scripted", "check", str(scenario)],
        capture_output=True,
        text=True,
        check=False,
    )
    if checked.returncode != 0:
        said = " ".join(checked.stderr.replace("cadre-scripted: ", "").split())
        raise CadreError("ScenarioInvalid", said or f"{scenario} is refused", "correct the scenario")


def _start(session: Session, launched: control.Launched, foreground: bool) -> int:
    progress = Progress(session.console, quiet=not session.is_table)
    try:
        with progress:
            ready = launched.wait_ready(progress.starting)
        session.emit(ready, lambda console: console.print(_summary(ready, foreground), markup=False))
        if ready.warning:
            click.echo(f"warning {ready.warning}", err=True)
        if foreground and (code := launched.wait_end()):
            raise CadreError("Stopped", f"the supervisor ended with code {code}", "read log/supervisor.log")
        return int(Exit.TIMED_OUT if ready.warning else Exit.OK)
    except KeyboardInterrupt:
        session.console.print("stopping …")
        launched.stop()
        raise


def _update(session: Session, current: RunState, source: Path | None, documents: charts.Documents) -> None:
    """A second `up`: apply the new chart to what runs and wait until its agents are ready."""
    if source and documents:
        applied = session.api().apply(documents)
        charts.remember(session.home, source, documents)
        progress = Progress(session.console, quiet=not session.is_table)
        with progress:
            _wait_agents(session, progress)
        session.emit(applied, lambda console: console.print("chart applied; everything runs"))
        return
    where = f"supervisor pid {current.supervisor.pid}, API on port {current.ports.public}"
    told = f"Cadre already runs ({current.phase}): {where}\nnext: cadre status · cadre down"
    session.emit(current, lambda console: console.print(told))


def _wait_agents(session: Session, progress: Progress) -> None:
    api, deadline = session.api(), time.monotonic() + 120
    while True:
        rows = [row for row in api.agents() if should_run(row)]
        late = sorted(key_of(row) for row in rows if not can_work(row))
        progress.note("agents", f"{len(rows) - len(late)} of {len(rows)} ready", done=not late)
        if not late:
            return
        if time.monotonic() > deadline:
            raise CadreError(
                "AgentsNotReady", f"not ready: {', '.join(late)}", "cadre status", Exit.TIMED_OUT
            )
        time.sleep(0.3)


def _summary(ready: RunState, foreground: bool) -> str:
    guards = [child for child in ready.children if child.name.startswith("guard:")]
    lines = [
        f"Cadre runs with {len(guards)} agents; API on http://127.0.0.1:{ready.ports.public}",
        f"state in {os.fspath(Path(ready.children[0].log).parents[1]) if ready.children else ''}",
    ]
    if ready.scripted:
        lines.append("the model is scripted: its answers come from a scenario file, no model is asked")
    lines.append("Ctrl-C stops it" if foreground else "next: cadre status · cadre task run … · cadre down")
    return "\n".join(lines)
