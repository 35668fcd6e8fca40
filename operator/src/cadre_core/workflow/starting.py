"""How a step begins: skipped, worked out at once, or started with everything it needs filled in."""

from collections.abc import Mapping
from datetime import datetime

from cadre_api.units import parse_duration
from cadre_api.v1alpha1 import Step
from cadre_core.workflow.board import Board
from cadre_core.workflow.expressions import ExpressionError, condition, evaluate, fill
from cadre_core.workflow.request import request_values
from cadre_core.workflow.run import WHOLE, Record, Start, StepState


def begin(board: Board, step: Step, now: datetime) -> tuple[tuple[Record, ...], tuple[Start, ...]]:
    """Facts or starts of a step whose turn it is; an expression that has no value fails the step."""
    try:
        if step.when is not None and not condition(step.when, board.variables()):
            return (skipped(step, "ConditionFalse"),), ()
        if step.for_each is not None:
            return _each(board, step, now)
        if step.data is not None:
            value = evaluate(step.data, board.variables())
            return (Record(step.name, WHOLE, StepState.SUCCEEDED, value),), ()
        return (), (_start(board, step, WHOLE, None, now),)
    except ExpressionError as error:
        failed = Record(
            step.name, WHOLE, StepState.FAILED, reason=error.reason, message=f"{step.name}: {error}"
        )
        return (failed,), ()


def skipped(step: Step, reason: str) -> Record:
    """The step does not run."""
    return Record(step.name, WHOLE, StepState.SKIPPED, reason=reason)


def _each(board: Board, step: Step, now: datetime) -> tuple[tuple[Record, ...], tuple[Start, ...]]:
    elements = board.elements(step)
    if not elements:
        return (Record(step.name, WHOLE, StepState.SUCCEEDED, []),), ()
    missing = [i for i in range(len(elements)) if (step.name, i) not in board.records]
    return (), tuple(_start(board, step, i, elements[i], now) for i in missing)


def _start(board: Board, step: Step, item: int, element: object, now: datetime) -> Start:
    template = step.task or step.message or step.workflow
    given = (template.with_ or {}) if template is not None else {}
    variables = board.variables(element)
    values = {name: evaluate(text, variables) for name, text in sorted(given.items())}
    if step.approval is not None:
        values = _before(board, step)
    if step.http is not None:
        values = request_values(step.http, board.definition.spec.hosts, variables)
    text = (step.task.prompt if step.task else step.message.text if step.message else "") or ""
    due = _due(step, now)
    return Start(step, item, due, fill(text, {**board.params, **values}), values)


def _before(board: Board, step: Step) -> dict[str, object]:
    """What the people who are asked get to see: the results of the steps before."""
    names: Mapping[str, Step] = board.definition.by_name
    return {name: board.result(names[name]) for name in sorted(step.depends_on)}


def _due(step: Step, now: datetime) -> datetime | None:
    limit = step.wait or step.timeout
    return now + parse_duration(limit) if limit is not None else None
