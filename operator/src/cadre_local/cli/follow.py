"""Follow a task to its end: print its story as it happens, survive a controller's restart."""

import time
from functools import partial

import click

from cadre_api.protocol.tasks import TaskView
from cadre_local.cli.context import Session, dump
from cadre_local.cli.telling import Teller
from cadre_local.client.api import CadreApi
from cadre_local.client.patience import awaited
from cadre_local.errors import CadreError, Exit
from cadre_local.render.story import FINAL, task_summary

POLL = 0.3
"""Seconds between looks when the stream ended before the task did."""


def follow(
    session: Session, api: CadreApi, task: TaskView, *, timeout: float | None = None, every: bool = False
) -> TaskView:
    """Print events until the task is final (`every`: echoes too); raises `TimedOut`."""
    deadline = None if timeout is None else time.monotonic() + timeout
    teller = Teller(api, session.console, task, every=every)
    while True:
        for event in teller.fresh(task.id, deadline):
            if session.is_table:
                teller.tell(event)
            if event.kind == "OutcomeUnknown" and event.task_id == task.id:
                break
        current = awaited(partial(api.task, task.id))
        if current.state in FINAL:
            return current
        if deadline is not None and time.monotonic() > deadline:
            fix = f"cadre task watch {task.id}"
            raise CadreError("TimedOut", f"task {task.id} is not done yet", fix, Exit.TIMED_OUT)
        time.sleep(POLL)


def finish(session: Session, task: TaskView) -> int:
    """Print the outcome; the exit code says whether it succeeded."""
    if session.is_table:
        console = session.console
        console.print(task_summary(task), style="bold", markup=False)
        if task.result:
            console.print(task.result, markup=False)
    else:
        click.echo(dump(task, session.output))
    return int(Exit.OK if task.state.value == "Succeeded" else Exit.TASK_FAILED)
