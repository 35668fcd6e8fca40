"""Runs of workflows as rows, as the planner's values, and as views."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cadre_api.protocol.workflows import (
    ExecutionState,
    ExecutionView,
    StepView,
    WorkflowParameter,
    WorkflowView,
)
from cadre_api.v1alpha1 import Step
from cadre_controller.services.kernel import dump
from cadre_controller.store.pool import Row
from cadre_controller.store.work import Statement
from cadre_core.workflow import Definition, Plan, Record, RunState, StepState

FINAL = frozenset({RunState.SUCCEEDED.value, RunState.FAILED.value, RunState.CANCELLED.value})
_STEP_COLUMNS = (
    "tenant", "execution_id", "round", "name", "item", "kind", "state", "ref", "result", "reason", "message",
    "due_at", "started_at", "ended_at",
)  # fmt: skip
KINDS = ("task", "approval", "message", "wait", "data", "http", "workflow")


@dataclass(frozen=True, slots=True)
class Begun:
    """A record together with the id of what it waits for."""

    record: Record
    ref: str = ""
    opening: tuple[Statement, ...] = ()
    """Begins what it waits for, in the commit that records the step."""


def kind_of(step: Step) -> str:
    """Which of its members a step sets."""
    return next(kind for kind in KINDS if getattr(step, kind) is not None)


def record_of(row: Row) -> Record:
    """A row as the planner sees it."""
    return Record(
        row["name"],
        row["item"],
        StepState(row["state"]),
        row["result"],
        row["reason"],
        row["message"],
        row["due_at"] if row["ended_at"] is None else None,
    )


def current(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Rows that count: those of steps that were not run again since."""
    return tuple(row for row in rows if row["current"])


def is_changed(row: Row, plan: Plan) -> bool:
    """Whether a look that recorded no step has something to record of the run."""
    now = (plan.state.value, plan.reason, plan.due, False)
    return now != (row["state"], row["reason"], row["due_at"], row["poked"])


def channels_of(
    row: Row, definition: Definition, rows: Iterable[Row], latest: Mapping[tuple[str, int], Begun]
) -> tuple[str, ...]:
    """What is woken when something happens to what the running steps wait for."""
    kept = {(r["name"], r["item"]): (r["kind"], r["ref"]) for r in rows if r["state"] == StepState.RUNNING}
    for key, begun in latest.items():
        if begun.record.done:
            kept.pop(key, None)
        elif begun.ref:
            kept[key] = (kind_of(definition.by_name[begun.record.name]), begun.ref)
    prefixes = {"task": "task", "approval": "approval", "workflow": "execution", "http": "request"}
    return tuple(f"{prefixes[kind]}:{row['tenant']}:{ref}" for kind, ref in kept.values() if kind in prefixes)


def step_put(row: Row, definition: Definition, begun: Begun, now: datetime) -> Statement:
    """Record a step; what is recorded as done never changes."""
    record = begun.record
    kind = kind_of(definition.by_name[record.name])
    values = (
        row["tenant"], row["id"], row["round"], record.name, record.item, kind, record.state.value, begun.ref,
        dump(record.result), record.reason[:100], record.message[:500], record.due, now,
        now if record.done else None,
    )  # fmt: skip
    return Statement("execution_step_put", values, expect_row=False)


def step_row(put: Statement) -> Row:
    """The row that recording a step for the first time leaves."""
    row = dict(zip(_STEP_COLUMNS, put.row, strict=True))
    return row | {"result": json.loads(str(row["result"])), "current": True}


def execution_insert(row: Row) -> Statement:
    """The run as it begins."""
    values = (
        row["tenant"], row["id"], row["workflow"], row["sealed"], dump(row["params"]), row["requester"],
        row["person"], row["session_id"], row["parent_id"], row["created_at"], row["state"], row["reason"],
        dump(row["result"]), row["poked"], row["ended_at"],
    )  # fmt: skip
    return Statement("execution_insert", values)


def execution_update(row: Row, plan: Plan, now: datetime, *, poked: bool) -> Statement:
    """The run after a look at it; refuses the whole work when another looked meanwhile."""
    done = plan.state.value in FINAL
    values = (
        row["tenant"], row["id"], row["version"], plan.state.value, plan.reason, dump(plan.result),
        row["cancelled"], poked and not done, row["round"], None if done else plan.due, now if done else None,
    )  # fmt: skip
    return Statement("execution_update", values)


def execution_again(
    row: Row, state: RunState, *, cancelled: bool = False, round_: int | None = None
) -> Statement:
    """The run with another wish, to be looked at at once."""
    values = (
        row["tenant"], row["id"], row["version"], state.value, row["reason"] if round_ is None else "",
        dump(None), cancelled, True, round_ or row["round"], row["due_at"], None,
    )  # fmt: skip
    return Statement("execution_update", values)


def execution_view(row: Row, steps: Sequence[Row] = ()) -> ExecutionView:
    """A run for the wire, masked."""
    return ExecutionView(
        id=row["id"],
        tenant=row["tenant"],
        workflow=row["workflow"],
        state=ExecutionState(row["state"]),
        requester=row["requester"],
        session_id=row["session_id"],
        parent_id=row["parent_id"],
        parameters=row["params"],
        result=row["result"],
        reason=row["reason"],
        round=row["round"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        due_at=row["due_at"],
        steps=tuple(map(_step_view, steps)),
    )


def _step_view(row: Row) -> StepView:
    return StepView(
        name=row["name"],
        item=row["item"],
        kind=row["kind"],
        state=row["state"],
        ref=row["ref"],
        result=row["result"],
        reason=row["reason"],
        message=row["message"],
        round=row["round"],
        current=row["current"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        due_at=row["due_at"],
    )


def workflow_view(definition: Definition) -> WorkflowView:
    """A workflow of the chart for the wire."""
    spec = definition.spec
    parameters = tuple(
        WorkflowParameter(
            name=p.name,
            type=p.type.value,
            required=p.required,
            default=p.default or "",
            description=p.description or "",
        )
        for p in spec.parameters
    )
    helpers = tuple(step.name for step in spec.steps if step.name in definition.helpers)
    steps = (*(step.name for step in definition.order), *helpers)
    return WorkflowView(
        name=definition.key, description=spec.description or "", parameters=parameters, steps=steps
    )
