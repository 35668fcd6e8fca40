"""A world in which steps end as they are told to, in any order: what the services do, without them."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import yaml

from cadre_api.v1alpha1 import WorkflowSpec
from cadre_core.workflow import Definition, Plan, Record, Run, RunState, Start, StepState, definition_of, plan

NOW = datetime(2027, 2, 1, 9, tzinfo=UTC)
Key = tuple[str, int]


def flow(text: str) -> Definition:
    """A workflow from its steps in YAML, or from a whole spec."""
    read = yaml.safe_load(text)
    spec = read if isinstance(read, dict) else {"steps": read}
    return definition_of("co/w", WorkflowSpec.model_validate(spec))


def step(name: str, *after: str, **more: object) -> dict[str, object]:
    """A task step."""
    return {"name": name, "dependsOn": list(after), "task": {"role": "r", "prompt": name}, **more}


@dataclass
class World:
    """Runs a definition to its end."""

    definition: Definition
    params: Mapping[str, object] = field(default_factory=dict)
    outcomes: Mapping[str, object] = field(default_factory=dict)
    """Step -> result, or an exception type that stands for failing."""
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    records: dict[Key, Record] = field(default_factory=dict)
    begun: list[Key] = field(default_factory=list)
    starts: dict[Key, Start] = field(default_factory=dict)
    cancelled: bool = False
    now: datetime = NOW

    def look(self) -> Plan:
        """What is to be done now."""
        return plan(self.definition, Run(self.params, dict(self.records), self.cancelled), self.now)

    def turn(self) -> Plan:
        """Do what is to be done now; interrupted anywhere, the next turn does the rest."""
        found = self.look()
        for record in found.records:
            self.records[record.key] = record
        for start in found.starts:
            key = (start.step.name, start.item)
            if self.chance.random() < 0.3:
                continue
            assert key not in self.begun, f"{key} twice"
            self.begun.append(key)
            self.starts[key] = start
            self.records[key] = Record(*key, StepState.RUNNING, due=start.due)
        for stopped in found.stops:
            if not self.records[stopped.key].done:
                self.end(stopped.key, StepState.CANCELLED)
        return found

    def run(self, most: int = 1000) -> Plan:
        """Let steps end one by one, in any order, until the run is over."""
        for _ in range(most):
            found = self.turn()
            if found.state in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED):
                return found
            self.end_one()
        raise AssertionError(f"no end: {self.records}")

    def end_one(self) -> None:
        """One of the running steps ends; where only time can help, time passes."""
        running = [k for k, r in self.records.items() if not r.done]
        able = [k for k in running if self.definition.by_name[k[0]].wait is None]
        if not able:
            self.now += timedelta(hours=1)
            return
        key = self.chance.choice(able)
        outcome = self.outcomes.get(key[0], f"{key[0]} {key[1]}" if key[1] >= 0 else key[0])
        if outcome is Exception:
            self.end(key, StepState.FAILED)
        else:
            self.end(key, StepState.SUCCEEDED, outcome)

    def end(self, key: Key, state: StepState, result: object = None) -> None:
        """A step ends."""
        reason = "Broken" if state is StepState.FAILED else ""
        self.records[key] = Record(*key, state, result, reason)
