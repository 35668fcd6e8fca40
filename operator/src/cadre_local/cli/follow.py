"""Follow a task to its end: print its story as it happens, survive a controller's restart."""

import time

from cadre_api.protocol.tasks import TaskView
from cadre_local.cli.context import Session, dump
from cadre_local.client.api import CadreApi
from cadre_local.errors import CadreError, Exit
from cadre_local.render.story import FINAL, Condenser, event_line, task_summary

POLL = 0.3
"""Seconds between looks when the stream ended before the task did."""


def follow(
    session: Session, api: CadreApi, task: TaskView, *, timeout: float | None = None, every: bool = False
) -> TaskView:
    """Print events until the task is final (`every`: echoes too); raises `TimedOut`."""
    deadline = None if timeout is None else time.monotonic() + timeout
    names = {task.id: task.agent.rpartition("/")[2]}
    seen, condenser = set[tuple[str, int]](), Condenser()
    while True:
        for event in api.watch(task.id, deadline):
            if (event.task_id, event.seq) not in seen:
                seen.add((event.task_id, event.seq))
                if session.is_table and (every or condenser.wants(event)):
                    name = _name(api, names, event.task_id)
                    session.console.print(event_line(event, task.created_at, name))
            if event.kind == "OutcomeUnknown" and event.task_id == task.id:
                break
        current = api.task(task.id)
        if current.state in FINAL:
            return current
        _check(deadline, task)
        time.sleep(POLL)


def finish(session: Session, task: TaskView) -> int:
    """Print the outcome; the exit code says whether it succeeded."""
    if session.is_table:
        console = session.console
        console.print(task_summary(task), style="bold")
        if task.result:
            console.print(task.result, markup=False)
    else:
        print(dump(task, session.output))
    return int(Exit.OK if task.state.value == "Succeeded" else Exit.TASK_FAILED)


def _name(api: CadreApi, names: dict[str, str], task_id: str) -> str:
    if task_id not in names:
        try:
            names[task_id] = api.task(task_id).agent.rpartition("/")[2]
        except CadreError:
            return ""
    return names[task_id]


def _check(deadline: float | None, task: TaskView) -> None:
    if deadline is not None and time.monotonic() > deadline:
        raise CadreError(
            "TimedOut", f"task {task.id} is not done yet", f"cadre task watch {task.id}", Exit.TIMED_OUT
        )
