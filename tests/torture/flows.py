"""The checker's rules for workflows: one run for each accepted request, each effect once, all ended."""

from collections import Counter
from collections.abc import Iterator

from tests.torture.facts import Facts, Violation
from tests.torture.history import Ledger

_OPEN = ("Running", "Stopping")


def check_runs(facts: Facts, ledger: Ledger) -> Iterator[Violation]:
    """Every promise about a run that was not kept."""
    yield from _accepted(facts, ledger)
    yield from _effects(facts)
    for run_id, run in facts.runs.items():
        if run["state"] in _OPEN:
            yield Violation(f"run {run_id} is stuck in {run['state']}", (run_id,))
        if run["state"] == "Succeeded":
            yield from _complete(facts, run_id)


def _accepted(facts: Facts, ledger: Ledger) -> Iterator[Violation]:
    begun = Counter(event["target"].removeprefix("execution:") for event in facts.events("workflow.start"))
    for number, run_id in ledger.runs.items():
        if run_id not in facts.runs:
            yield Violation(f"run {run_id} was accepted and is not there", (run_id, f"f{number}"))
    for run_id in {*facts.runs, *begun}:
        if begun[run_id] != 1 or run_id not in facts.runs:
            yield Violation(f"{begun[run_id]} audit records of the beginning of {run_id}", (run_id,))
    given = Counter(str(run["params"]) for run in facts.runs.values())
    for parameters, times in given.items():
        if times > 1:
            yield Violation(f"{times} runs for one request: {parameters}")
    for run_id in ledger.stopped:
        if run_id in facts.runs and facts.runs[run_id]["state"] not in ("Cancelled", "Failed"):
            yield Violation(f"run {run_id} was cancelled and is {facts.runs[run_id]['state']}", (run_id,))


def _effects(facts: Facts) -> Iterator[Violation]:
    """A step has one task, and a task that a run made belongs to one step."""
    refs = Counter(step["ref"] for step in facts.steps if step["kind"] == "task" and step["ref"])
    made: Counter[str] = Counter()
    for event in facts.events("task.create"):
        if run_id := event["data"].get("execution"):
            made[run_id] += 1
            task_id = event["target"].removeprefix("task:")
            if refs[task_id] != 1:
                yield Violation(
                    f"task {task_id} of run {run_id} is in {refs[task_id]} steps", (task_id, run_id)
                )
    for run_id in facts.runs:
        steps = [s for s in facts.steps if s["execution_id"] == run_id and s["kind"] == "task" and s["ref"]]
        if made[run_id] != len(steps):
            yield Violation(f"run {run_id} made {made[run_id]} tasks in {len(steps)} steps", (run_id,))


def _complete(facts: Facts, run_id: str) -> Iterator[Violation]:
    """What succeeded was agreed to, worked on and told."""
    steps = {s["name"]: s for s in facts.steps if s["execution_id"] == run_id and s["current"]}
    for name in ("first", "second", "sum", "sign", "tell"):
        if name not in steps or steps[name]["state"] != "Succeeded":
            yield Violation(f"run {run_id} succeeded without its step {name}", (run_id,))
            return
    approval = facts.approvals.get(steps["sign"]["ref"])
    if approval is None or approval["state"] != "Approved":
        yield Violation(f"run {run_id} went on without the approval {steps['sign']['ref']}", (run_id,))
    for name in ("first", "second"):
        task = facts.tasks.get(steps[name]["ref"])
        if task is None or task["state"] != "Succeeded":
            yield Violation(f"run {run_id} went on without the task of {name}", (run_id, steps[name]["ref"]))
