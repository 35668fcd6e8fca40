"""`cadre task …`: give work to agents, follow it, end it, and settle what nobody knows the outcome of."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime

import click
from rich.console import Console

from cadre_api.protocol.tasks import ApprovalState, RouteResult, TaskCreate, TaskState
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.follow import finish, follow
from cadre_local.cli.framework import Command, Group, parse_pairs
from cadre_local.errors import CadreError, Exit
from cadre_local.render.story import FINAL, event_line, task_summary
from cadre_local.render.tables import print_tasks


@click.group(cls=Group)
def task() -> None:
    """Give work to agents and follow it."""


@task.command(cls=Command)
@click.argument("prompt")
@click.option("--role", default="", help="Profile the agent must have, e.g. finance.")
@click.option("--agent", default="", help="This agent, instead of a routed one; policy still decides.")
@click.option("--skill", "skills", multiple=True, help="Skill the agent must have; may be repeated.")
@click.option("--recipe", default="", help="Recipe of the profile; the prompt is appended.")
@click.option("--param", "parameters", multiple=True, callback=parse_pairs, help="NAME=VALUE for the recipe.")
@click.option("--session", "session_id", default="", help="Continue this session.")
@click.option("--key", default="", help="Idempotency key: the same key never makes a second task.")
@click.option("--deadline", type=click.IntRange(1, 604_800), default=3600, show_default=True, help="Seconds.")
@click.option("--wait/--no-wait", default=False, help="Follow it to its end and print the result.")
@click.option("--timeout", type=float, help="With --wait: give up waiting after this many seconds.")
@click.option("--dry-run", is_flag=True, help="Say who would get it and why; commit nothing.")
@pass_session
def run(
    session: Session,
    prompt: str,
    role: str,
    agent: str,
    skills: tuple[str, ...],
    recipe: str,
    parameters: Mapping[str, str],
    session_id: str,
    key: str,
    deadline: int,
    wait: bool,
    timeout: float | None,
    dry_run: bool,
) -> int:
    """Give PROMPT to an agent (`-` reads it from standard input). It is masked before anything is stored."""
    text = sys.stdin.read() if prompt == "-" else prompt
    if not text.strip():
        raise click.UsageError("the prompt is empty")
    request = TaskCreate(
        prompt=text,
        agent=agent,
        role=role,
        skills=skills,
        recipe=recipe,
        parameters=dict(parameters),
        session_id=session_id,
        deadline_seconds=deadline,
    )
    api = session.api()
    if dry_run:
        route = api.route(request)
        session.emit(route, lambda console: _print_route(console, route))
        return int(Exit.OK if route.agent else Exit.REFUSED)
    created = api.create_task(request, key)
    if not wait:
        session.emit(
            created, lambda console: console.print(f"{created.id} → {created.agent} ({created.state.value})")
        )
        return int(Exit.OK)
    return finish(session, follow(session, api, created, timeout=timeout))


@task.command("list", cls=Command)
@click.option("--state", type=click.Choice([state.value for state in TaskState]), default=None)
@click.option("--agent", default="")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@pass_session
def list_tasks(session: Session, state: str | None, agent: str, limit: int) -> None:
    """Tasks, newest first."""
    found = session.api().tasks(state or "", agent, limit)
    session.emit({"items": found}, lambda console: print_tasks(console, found, datetime.now(UTC)))


@task.command(cls=Command)
@click.argument("task_id")
@pass_session
def show(session: Session, task_id: str) -> None:
    """One task with its whole story and how it was routed."""
    api = session.api()
    found, events = api.task(task_id), api.events(task_id)

    def render(console: Console) -> None:
        console.print(task_summary(found), style="bold")
        console.print(f"trace {found.trace_id} · session {found.session_id} · attempt {found.attempt}")
        for event in events:
            console.print(event_line(event, found.created_at))
        if found.result:
            console.print(found.result, markup=False)

    session.emit({"task": found, "events": events}, render)


@task.command(cls=Command)
@click.argument("task_id")
@click.option("--timeout", type=float, help="Give up after this many seconds.")
@click.option("-v", "--verbose", is_flag=True, help="Every event, echoes too.")
@pass_session
def watch(session: Session, task_id: str, timeout: float | None, verbose: bool) -> int:
    """Follow a task to its end."""
    api = session.api()
    return finish(session, follow(session, api, api.task(task_id), timeout=timeout, every=verbose))


@task.command(cls=Command)
@click.argument("task_id")
@pass_session
def cancel(session: Session, task_id: str) -> None:
    """Ask for a task's end."""
    api = session.api()
    before = api.task(task_id)
    if before.state in FINAL - {TaskState.CANCELLED, TaskState.OUTCOME_UNKNOWN}:
        raise CadreError(
            "AlreadyDone",
            f"task {task_id} is {before.state.value}",
            "nothing is left to cancel",
            Exit.CONFLICT,
        )
    found = api.cancel(task_id)
    session.emit(found, lambda console: console.print(f"{found.id} is {found.state.value}"))


@task.command(cls=Command)
@click.argument("task_id")
@pass_session
def result(session: Session, task_id: str) -> int:
    """The result alone."""
    found = session.api().task(task_id)
    if found.state not in FINAL:
        raise CadreError(
            "NotDone", f"task {task_id} is {found.state.value}", f"cadre task watch {task_id}", Exit.CONFLICT
        )
    session.emit(found, lambda console: console.print(found.result or found.message, markup=False))
    return int(Exit.OK if found.state is TaskState.SUCCEEDED else Exit.TASK_FAILED)


@task.command(cls=Command)
@click.argument("task_id")
@click.option("--again", "decision", flag_value="again", help="Run the cut step again.")
@click.option("--give-up", "decision", flag_value="give-up", help="Do not run it again.")
@click.option("--comment", default="")
@pass_session
def resolve(session: Session, task_id: str, decision: str | None, comment: str) -> None:
    """Settle a task whose outcome nobody knows: run the cut step again, or not."""
    if decision is None:
        raise click.UsageError("say --again or --give-up")
    api = session.api()
    pending = api.task(task_id).pending_approval
    if not pending:
        raise CadreError(
            "NothingToResolve",
            f"task {task_id} waits for no decision",
            f"cadre task show {task_id}",
            Exit.CONFLICT,
        )
    verdict = ApprovalState.APPROVED if decision == "again" else ApprovalState.DENIED
    decided = api.decide(api.approval(pending), verdict, comment)
    session.emit(decided, lambda console: console.print(f"{decided.id} {decided.state.value}"))


def _print_route(console: Console, route: RouteResult) -> None:
    console.print(f"→ {route.agent}" if route.agent else f"nobody: {route.reason}", style="bold")
    for candidate in route.candidates:
        console.print(f"{'✓' if candidate.eligible else '✗'} {candidate.agent} {candidate.score:.2f}")
        for term in candidate.terms:
            console.print(
                f"    {'✓' if term.ok else '✗'} {term.name} {term.score:+.2f} {term.note}", style="dim"
            )
