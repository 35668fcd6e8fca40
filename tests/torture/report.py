"""What a run has to say: counts when all is well, else each violation with the lines that led to it."""

from collections import Counter
from collections.abc import Sequence

from tests.torture.facts import Violation
from tests.torture.run import Torture

SHOWN = 10


def told(violations: Sequence[Violation], run: Torture) -> str:
    """A report for people."""
    ledger = run.ledger
    kills = Counter(line.what for line in run.history.lines if line.who == "chaos")
    head = (
        f"seed {run.seed}: {len(ledger.tasks)} tasks, {len(ledger.messages)} messages, "
        f"{len(ledger.runs)} runs of workflows, {len(ledger.votes)} approvals, {len(ledger.leases)} leases; "
        f"{dict(kills)}; "
        f"{len(violations)} violations"
    )
    found = [_one(violation, run) for violation in violations[:SHOWN]]
    logs = [controller.tail() for controller in run.controllers] if violations else []
    return "\n\n".join([head, *found, *logs])


def _one(violation: Violation, run: Torture) -> str:
    lines = run.history.minimal(*violation.names)
    return "\n".join([f"VIOLATION: {violation.what}", *(f"  {line}" for line in lines)])
