"""The state of every step at one moment, and the values that expressions read from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cadre_api.v1alpha1 import Step
from cadre_core.workflow.definition import Definition
from cadre_core.workflow.expressions import ExpressionError, evaluate
from cadre_core.workflow.run import WHOLE, Record, StepState

MOST_ITEMS = 100


@dataclass(frozen=True, slots=True)
class Board:
    """A definition with the records so far."""

    definition: Definition
    params: Mapping[str, object]
    records: Mapping[tuple[str, int], Record]

    def with_(self, records: Sequence[Record]) -> "Board":
        """The board with more records."""
        return Board(self.definition, self.params, {**self.records, **{r.key: r for r in records}})

    def state(self, step: Step) -> StepState | None:
        """None = not begun. A step for each of a list has failed as soon as one element has."""
        whole = self.records.get((step.name, WHOLE))
        if whole is not None or step.for_each is None:
            return whole.state if whole is not None else None
        found = self._items(step)
        if not found:
            return None
        states = {record.state for record in found}
        worst = (StepState.FAILED, StepState.CANCELLED, StepState.RUNNING)
        if len(found) < len(self.elements(step)) and not states & {StepState.FAILED, StepState.CANCELLED}:
            return StepState.RUNNING
        return next((state for state in worst if state in states), StepState.SUCCEEDED)

    def elements(self, step: Step) -> list[object]:
        """What a step runs for each of. Raises ExpressionError."""
        found = evaluate(step.for_each or "[]", self.variables())
        if not isinstance(found, list) or len(found) > MOST_ITEMS:
            raise ExpressionError(f"forEach must be a list of at most {MOST_ITEMS} elements")
        return found

    def result(self, step: Step) -> object:
        """Its value; a list for a step that runs for each of a list."""
        whole = self.records.get((step.name, WHOLE))
        if whole is not None or step.for_each is None:
            return whole.result if whole is not None else None
        return [record.result for record in self._items(step)]

    def variables(self, item: object = None) -> dict[str, object]:
        """What expressions may read: `params`, `steps` and `item`."""
        steps = {step.name: self._seen(step) for step in self.definition.spec.steps if step.for_each is None}
        each = {step.name: self._seen_each(step) for step in self.definition.spec.steps if step.for_each}
        return {"params": dict(self.params), "steps": steps | each, "item": item}

    def running(self) -> tuple[Record, ...]:
        """Records of what is not done, in a fixed order."""
        return tuple(record for _, record in sorted(self.records.items()) if not record.done)

    def _items(self, step: Step) -> list[Record]:
        return [record for (name, _), record in sorted(self.records.items()) if name == step.name]

    def _seen(self, step: Step) -> dict[str, object]:
        record = self.records.get((step.name, WHOLE))
        state = record.state.value if record is not None and record.done else "Pending"
        result = record.result if record is not None else None
        return {"state": state, "result": result, "json": _parsed(result)}

    def _seen_each(self, step: Step) -> dict[str, object]:
        results = self.result(step)
        parsed = [_parsed(result) for result in results] if isinstance(results, list) else None
        return {"result": results, "json": parsed}


def _parsed(result: object) -> object:
    """The answer of an agent as JSON, where it is."""
    if not isinstance(result, str):
        return result
    try:
        found: object = json.loads(result)
    except (ValueError, RecursionError):
        return None
    return found
