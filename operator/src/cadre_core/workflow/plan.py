"""What to do next in a run: a pure function of the definition and of what is recorded.

It knows nothing of the order in which the records came, so a run that was interrupted anywhere goes on as if
it had not been.
"""

from collections.abc import Sequence
from datetime import datetime

from cadre_api.v1alpha1 import Step
from cadre_core.workflow.board import Board
from cadre_core.workflow.definition import Definition
from cadre_core.workflow.run import WHOLE, Plan, Record, Run, RunState, Start, StepState
from cadre_core.workflow.starting import begin, skipped

_GOOD = (StepState.SUCCEEDED, StepState.SKIPPED)


def plan(definition: Definition, run: Run, now: datetime) -> Plan:
    """What follows from the records at this time."""
    board = Board(definition, run.params, run.records)
    late = _overdue(board, now)
    after = board.with_(late)
    stops = tuple(board.records[r.key] for r in late if r.state is StepState.FAILED)
    if run.cancelled or _failed(after):
        return _stopping(after, run, now, late, stops)
    starts, facts, after = _forward(after, now)
    if _failed(after):
        # what would have begun is not begun: the run has failed already
        return _stopping(after, run, now, (*late, *facts), stops)
    state = RunState.RUNNING
    if all(after.state(step) in _GOOD for step in definition.order) and not starts:
        state = RunState.SUCCEEDED
    result = {name: after.result(definition.by_name[name]) for name in definition.last}
    done = state is RunState.SUCCEEDED
    return Plan(
        state, starts, (*late, *facts), stops, _next_due(after, starts), result=result if done else None
    )


def _overdue(board: Board, now: datetime) -> tuple[Record, ...]:
    """Waits that are over, and steps that took too long."""
    late = [record for record in board.running() if record.due is not None and record.due <= now]
    return tuple(_late(board.definition.by_name[record.name], record) for record in late)


def _late(step: Step, record: Record) -> Record:
    if step.wait is not None:
        return Record(record.name, record.item, StepState.SUCCEEDED)
    message = f"it took longer than {step.timeout}"
    return Record(record.name, record.item, StepState.FAILED, reason="StepTimeout", message=message)


def _forward(board: Board, now: datetime) -> tuple[tuple[Start, ...], tuple[Record, ...], Board]:
    """Begin all that can begin; what needs no effect is done at once, and may let more begin."""
    starts: dict[tuple[str, int], Start] = {}
    facts: list[Record] = []
    moved = True
    while moved:
        moved = False
        for step in board.definition.order:
            found, fresh = _advance(board, step, now)
            fresh = tuple(start for start in fresh if (start.step.name, start.item) not in starts)
            starts |= {(start.step.name, start.item): start for start in fresh}
            facts += found
            board = board.with_(found)
            moved = moved or bool(found)
    return tuple(starts.values()), tuple(facts), board


def _advance(board: Board, step: Step, now: datetime) -> tuple[tuple[Record, ...], tuple[Start, ...]]:
    """What one normal step does now: nothing, facts, or starts."""
    state = board.state(step)
    if state is not None and (state is not StepState.RUNNING or step.for_each is None):
        return (), ()
    before = [board.state(board.definition.by_name[name]) for name in step.depends_on]
    if not all(found in _GOOD for found in before):
        return (), ()
    if before and all(found is StepState.SKIPPED for found in before):
        return (skipped(step, "NothingBefore"),), ()
    return begin(board, step, now)


def _failed(board: Board) -> bool:
    return any(
        board.state(step) in (StepState.FAILED, StepState.CANCELLED) for step in board.definition.order
    )


def _stopping(
    board: Board, run: Run, now: datetime, facts: Sequence[Record], stops: Sequence[Record]
) -> Plan:
    """End what runs, then undo what is done, one step after the other."""
    helpers = board.definition.helpers
    open_ = [record for record in board.running() if record.name not in helpers]
    still = [r for r in open_ if board.definition.by_name[r.name].wait is None]
    ended = [_cancelled(r) for r in open_ if board.definition.by_name[r.name].wait is not None]
    facts, stops = (*facts, *ended), (*stops, *still)
    board = board.with_(ended)
    if still:
        return Plan(RunState.STOPPING, (), facts, stops, _next_due(board, ()), _reason(board, run))
    return _undo(board, run, now, facts, tuple(stops))


def _cancelled(record: Record) -> Record:
    return Record(record.name, record.item, StepState.CANCELLED, reason="RunStopped")


def _undo(
    board: Board, run: Run, now: datetime, facts: tuple[Record, ...], stops: tuple[Record, ...]
) -> Plan:
    reason = _reason(board, run)
    for name in _undoing(board):
        step = board.definition.by_name[name]
        state = board.state(step)
        if state is not None and state is not StepState.RUNNING:
            continue
        found, starts = begin(board, step, now) if state is None or step.for_each else ((), ())
        facts, board = (*facts, *found), board.with_(found)
        state = board.state(step)
        if state is None or state is StepState.RUNNING:
            return Plan(RunState.STOPPING, starts, facts, stops, _next_due(board, starts), reason)
    undone = [board.state(board.definition.by_name[name]) for name in _undoing(board)]
    if StepState.FAILED in undone:
        reason = "CompensationFailed"
    own = run.cancelled and not any(board.state(s) is StepState.FAILED for s in board.definition.order)
    return Plan(RunState.CANCELLED if own else RunState.FAILED, (), facts, stops, None, reason)


def _undoing(board: Board) -> tuple[str, ...]:
    """Helpers that this run calls for: of failed steps first, then compensations, the last step's first."""
    order = board.definition.order
    failed = [s.on_failure for s in order if s.on_failure and board.state(s) is StepState.FAILED]
    undoing = board.definition.undoing
    done = [s.name for s in order if board.state(s) is StepState.SUCCEEDED or _partly(board, s)]
    compensating = [undoing[name] for name in reversed(done) if name in undoing]
    return tuple(dict.fromkeys((*failed, *compensating)))


def _partly(board: Board, step: Step) -> bool:
    """Whether some elements of a step are done, though not all."""
    records = [r for (name, item), r in board.records.items() if name == step.name and item != WHOLE]
    return any(record.state is StepState.SUCCEEDED for record in records)


def _reason(board: Board, run: Run) -> str:
    """Why the run does not succeed: of the first step that failed, by the definition's order."""
    failed = [s.name for s in board.definition.order if board.state(s) is StepState.FAILED]
    if not failed:
        return "CancelledByRequester" if run.cancelled else "StepCancelled"
    records = sorted((r for r in board.records.values() if r.name == failed[0]), key=lambda r: r.item)
    return next((r.reason for r in records if r.state is StepState.FAILED and r.reason), "StepFailed")


def _next_due(board: Board, starts: Sequence[Start]) -> datetime | None:
    times = [record.due for record in board.running() if record.due is not None]
    times += [start.due for start in starts if start.due is not None]
    return min(times, default=None)
