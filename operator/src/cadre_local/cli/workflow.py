"""`cadre workflow …`: run processes of several steps, watch them, end them, repeat a part of them."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

import click

from cadre_api.protocol.workflows import ExecutionState, ExecutionView
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command, Group, parse_pairs
from cadre_local.client.api import CadreApi
from cadre_local.client.patience import awaited
from cadre_local.errors import CadreError, Exit
from cadre_local.render.workflows import print_execution, print_executions, print_workflows

_FINAL = frozenset({ExecutionState.SUCCEEDED, ExecutionState.FAILED, ExecutionState.CANCELLED})
_POLL = 0.5
_run_id = click.argument("execution_id", metavar="RUN")


@click.group(cls=Group)
def workflow() -> None:
    """Run processes of several steps across agents and people."""


@workflow.command(cls=Command)
@click.argument("name")
@click.option("--param", "parameters", multiple=True, callback=parse_pairs, help="NAME=VALUE.")
@click.option("--key", default="", help="Idempotency key: the same key never begins a second run.")
@click.option("--wait/--no-wait", default=False, help="Wait for its end.")
@click.option("--timeout", type=float, help="With --wait: give up waiting after this many seconds.")
@pass_session
def run(
    session: Session, name: str, parameters: Mapping[str, str], key: str, wait: bool, timeout: float | None
) -> int:
    """Begin a run of workflow NAME. What you give is masked before anything is stored."""
    api = session.api()
    begun = api.execute(name, dict(parameters), key)
    if not wait:
        session.emit(begun, lambda console: console.print(f"{begun.id} {begun.state.value}"))
        return int(Exit.OK)
    return _finish(session, _ended(api, begun, timeout))


@workflow.command(cls=Command, name="list")
@click.option("--runs/--definitions", default=False, help="Runs, newest first, instead of what can be run.")
@click.option("--of", "name", default="", help="Runs of this workflow.")
@click.option("--state", type=click.Choice([state.value for state in ExecutionState]), help="Runs like this.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@pass_session
def list_(session: Session, runs: bool, name: str, state: str | None, limit: int) -> None:
    """List the workflows of the chart, or runs of them."""
    api = session.api()
    if runs or name or state:
        found = api.executions(name, state or "", limit)
        session.emit({"items": found}, lambda console: print_executions(console, found, datetime.now(UTC)))
        return
    known = api.workflows()
    session.emit({"items": known}, lambda console: print_workflows(console, known))


@workflow.command(cls=Command)
@_run_id
@pass_session
def show(session: Session, execution_id: str) -> None:
    """A run with its timeline."""
    found = session.api().execution(execution_id)
    session.emit(found, lambda console: print_execution(console, found))


@workflow.command(cls=Command)
@_run_id
@click.option("--timeout", type=float, help="Give up after this many seconds.")
@pass_session
def wait(session: Session, execution_id: str, timeout: float | None) -> int:
    """Wait for the end of a run."""
    api = session.api()
    return _finish(session, _ended(api, api.execution(execution_id), timeout))


@workflow.command(cls=Command)
@_run_id
@pass_session
def cancel(session: Session, execution_id: str) -> None:
    """Stop what runs, and undo what is done by the steps that compensate it."""
    found = session.api().cancel_execution(execution_id)
    session.emit(found, lambda console: console.print(f"{found.id} is {found.state.value}"))


@workflow.command(cls=Command)
@_run_id
@click.option("--from", "step", required=True, help="The step to run again, with all that depends on it.")
@pass_session
def retry(session: Session, execution_id: str, step: str) -> None:
    """Go on with an ended run from a step."""
    found = session.api().retry_execution(execution_id, step)
    session.emit(found, lambda console: console.print(f"{found.id} {found.state.value}, round {found.round}"))


def _ended(api: CadreApi, begun: ExecutionView, timeout: float | None) -> ExecutionView:
    deadline = None if timeout is None else time.monotonic() + timeout
    found = begun
    while found.state not in _FINAL:
        if deadline is not None and time.monotonic() >= deadline:
            fix = f"cadre workflow show {found.id}"
            raise CadreError("TimedOut", f"{found.id} is {found.state.value} still", fix, Exit.TIMED_OUT)
        time.sleep(_POLL)
        found = awaited(partial(api.execution, begun.id))
    return found


def _finish(session: Session, found: ExecutionView) -> int:
    session.emit(found, lambda console: print_execution(console, found))
    return int(Exit.OK if found.state is ExecutionState.SUCCEEDED else Exit.TASK_FAILED)
