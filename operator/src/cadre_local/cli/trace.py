"""`cadre trace TASK`: where the time of a task went, over all programs."""

import re

import click

from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.errors import CadreError
from cadre_local.render.waterfall import print_waterfall

TRACE_ID = re.compile(r"[0-9a-f]{32}")


@click.command(cls=Command)
@click.argument("task_or_trace")
@pass_session
def trace(session: Session, task_or_trace: str) -> None:
    """A task's trace over all programs, as a waterfall. Takes a task id or a trace id."""
    api = session.api()
    trace_id = task_or_trace if TRACE_ID.fullmatch(task_or_trace) else api.task(task_or_trace).trace_id
    if not trace_id:
        raise CadreError("NoTrace", f"task {task_or_trace} has no trace", "was it created just now?")
    spans = api.spans(trace_id)
    session.emit({"traceId": trace_id, "spans": spans}, lambda console: print_waterfall(console, spans))
