"""What is read at the end: the database, past the tenants' wall, the audit, and the tool server's own log."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

OPEN_TASKS = ("Held", "Queued", "Running", "Waiting", "OutcomeUnknown")


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise, and the ids under which its history is found."""

    what: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the checks look at."""

    tasks: dict[str, Any]
    messages: dict[str, Any]
    calls: Sequence[Any]
    budgets: Sequence[Any]
    approvals: dict[str, Any]
    audit: Sequence[dict[str, Any]]
    desk: Sequence[dict[str, Any]]
    runs: dict[str, Any]
    steps: Sequence[Any]
    """Of all runs of workflows."""

    def numbers(self) -> Iterator[tuple[int, Any]]:
        """Planned tasks with their numbers; those of workflows have none."""
        for task in self.tasks.values():
            if number := json.loads(task["context"]).get("n"):
                yield int(number), task

    def events(self, action: str) -> Iterator[dict[str, Any]]:
        """Audit records of one action."""
        return (event for event in self.audit if event["action"] == action)


async def gather(dsn: str, desk: Path) -> Facts:
    """Read it all, past the tenants' wall."""
    connection = await asyncpg.connect(dsn)
    try:
        audit = await connection.fetch("SELECT canonical FROM audit_events ORDER BY seq")
        return Facts(
            {row["id"]: row for row in await connection.fetch("SELECT * FROM all_tasks")},
            {row["id"]: row for row in await connection.fetch("SELECT * FROM messages")},
            await connection.fetch("SELECT * FROM model_calls"),
            await connection.fetch("SELECT * FROM budgets"),
            {row["id"]: row for row in await connection.fetch("SELECT * FROM approvals")},
            [json.loads(row["canonical"]) for row in audit],
            [json.loads(line) for line in desk.read_text().splitlines()] if desk.exists() else [],
            {row["id"]: row for row in await connection.fetch("SELECT * FROM executions")},
            await connection.fetch("SELECT * FROM execution_steps"),
        )
    finally:
        await connection.close()
