"""`cadre chat AGENT`: one task after the other in one session, so that the agent remembers."""

import click

from cadre_api.protocol.tasks import TaskCreate, TaskView
from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.follow import follow
from cadre_local.cli.framework import Command
from cadre_local.client.api import CadreApi

LEAVE = frozenset({"/quit", "/exit", "/q"})


@click.command(cls=Command)
@click.argument("agent")
@click.option("--session", "session_id", default="", help="Continue an earlier conversation.")
@pass_session
def chat(session: Session, agent: str, session_id: str) -> None:
    """Talk with one agent. An empty line is ignored; Ctrl-D or /quit leaves."""
    api = session.api()
    current = session_id
    while (text := _read(session)) is not None:
        if text.strip():
            current = _turn(session, api, TaskCreate(prompt=text, agent=agent, session_id=current))
    if session.is_table and current:
        session.console.print(f"continue with: cadre chat {agent} --session {current}", style="dim")


def _read(session: Session) -> str | None:
    prompt = "you> " if session.is_table else ""
    try:
        text = input(prompt)
    except EOFError:
        return None
    return None if text.strip() in LEAVE else text


def _turn(session: Session, api: CadreApi, request: TaskCreate) -> str:
    created = api.create_task(request)
    try:
        done = follow(session, api, created)
    except KeyboardInterrupt:
        done = api.cancel(created.id)
    session.emit(done, lambda console: console.print(_answer(done), markup=False))
    return done.session_id or created.session_id


def _answer(task: TaskView) -> str:
    name = task.agent.rpartition("/")[2]
    if task.state.value == "Succeeded":
        return f"{name}> {task.result}"
    return f"{name}> [{task.state.value}] {task.reason} {task.message}".rstrip()
