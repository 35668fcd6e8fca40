"""Running a part of a run again."""

from collections.abc import Mapping

from cadre_core.workflow.definition import Definition
from cadre_core.workflow.run import Record, StepState


def steps_to_repeat(
    definition: Definition, records: Mapping[tuple[str, int], Record], name: str
) -> frozenset[str]:
    """Names whose records no longer count when a run is repeated from a step.

    Besides it and all that depends on it: what never succeeded, what was undone, and what undid it.
    """
    bad = {r.name for r in records.values() if r.state in (StepState.FAILED, StepState.CANCELLED)}
    ran = {r.name for r in records.values()}
    undone = {done for done, undo in definition.undoing.items() if undo in ran}
    first = {name} | (bad | undone) - definition.helpers
    after = {step.name for step in definition.order if definition.before(step.name) & first}
    return frozenset(first | after | definition.helpers)
