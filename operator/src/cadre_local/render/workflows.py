"""Workflows and their runs for people."""

import json
from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.markup import escape

from cadre_api.protocol.workflows import ExecutionView, StepView, WorkflowView
from cadre_local.render.tables import age, one_line, print_table, short

_MARKS = {"Running": "…", "Succeeded": "✓", "Failed": "✗", "Skipped": "-", "Cancelled": "✗"}
_WIDTH = 100


def print_workflows(console: Console, workflows: Sequence[WorkflowView]) -> None:
    """What can be run."""
    rows = [
        (short(w.name), _parameters(w), " ".join(w.steps), one_line(w.description, 60)) for w in workflows
    ]
    print_table(console, ("NAME", "PARAMETERS", "STEPS", "WHAT FOR"), rows, "the chart has no workflows")


def print_executions(console: Console, runs: Sequence[ExecutionView], now: datetime) -> None:
    """Runs without their timelines."""
    rows = [(r.id, short(r.workflow), r.state.value, r.reason or "-", age(r.created_at, now)) for r in runs]
    print_table(console, ("RUN", "WORKFLOW", "STATE", "REASON", "AGE"), rows, "no runs")


def print_execution(console: Console, run: ExecutionView) -> None:
    """A run with its timeline, in the order in which the steps began."""
    why = f"  {run.reason}" if run.reason else ""
    console.print(f"[bold]{short(run.workflow)}[/]  {run.id}  {run.state.value}{escape(why)}")
    for name, value in run.parameters.items():
        console.print(f"{name} = {_text(value)}", markup=False)
    for step in run.steps:
        console.print(_step(step, run.created_at), markup=False, style="" if step.current else "dim")
    if run.result is not None:
        console.print(json.dumps(run.result, indent=2, ensure_ascii=False), markup=False)


def _step(step: StepView, since: datetime) -> str:
    seconds = max(0.0, (step.started_at - since).total_seconds())
    element = f"[{step.item}]" if step.item >= 0 else ""
    again = f" (round {step.round})" if step.round > 1 else ""
    told = step.message or (one_line(_text(step.result), _WIDTH) if step.result is not None else "")
    parts = (f"{step.name}{element}{again}", step.kind, step.ref, step.reason, told)
    return f"{seconds:7.1f}s {_MARKS[step.state]} " + "  ".join(part for part in parts if part)


def _parameters(workflow: WorkflowView) -> str:
    names = (f"{p.name}{'' if p.required else '?'}:{p.type}" for p in workflow.parameters)
    return " ".join(names) or "-"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
