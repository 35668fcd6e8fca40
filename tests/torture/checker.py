"""Reads what the database and the audit say at the end, and holds it against what was promised to whom."""

import asyncio
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg

from tests.torture.company import CAP, SMALL
from tests.torture.history import Ledger
from tests.torture.plan import LARGE

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
        )
    finally:
        await connection.close()


def check(facts: Facts, ledger: Ledger) -> list[Violation]:
    """Every promise that was not kept."""
    checks = (_requests, _results, _leases, _messages, _approvals, _desk, _budgets)
    return [violation for one in checks for violation in one(facts, ledger)]


def _requests(facts: Facts, ledger: Ledger) -> Iterator[Violation]:
    """One task for each accepted request, one audit record for each task, none for what was refused."""
    for key, first, other in ledger.duplicates:
        yield Violation(f"the request {key} was answered with two ids", (first, other))
    made: defaultdict[int, list[str]] = defaultdict(list)
    for task in facts.tasks.values():
        made[int(json.loads(task["context"])["n"])].append(task["id"])
        if task["state"] in OPEN_TASKS:
            yield Violation(f"task {task['id']} is stuck in {task['state']}", (task["id"],))
    for number, ids in made.items():
        if len(ids) > 1:
            yield Violation(f"request {number} made {len(ids)} tasks", (*ids, f"n{number}"))
    for number, task_id in ledger.tasks.items():
        if made[number] != [task_id]:
            yield Violation(f"task {task_id} was accepted and is not there", (task_id, f"n{number}"))
    created = Counter(event["target"].removeprefix("task:") for event in facts.events("task.create"))
    for task_id in {*facts.tasks, *created}:
        if created[task_id] != 1 or task_id not in facts.tasks:
            yield Violation(f"{created[task_id]} audit records of the creation of {task_id}", (task_id,))


def _results(facts: Facts, ledger: Ledger) -> Iterator[Violation]:
    """An accepted result stands, and each task ended once."""
    for task_id, result in ledger.finished.items():
        kept = facts.tasks[task_id]
        if kept["state"] != "Succeeded" or kept["result"] != result:
            yield Violation(f"the accepted result of {task_id} is gone: {kept['state']}", (task_id,))
    for task_id in ledger.cancelled:
        if facts.tasks[task_id]["state"] != "Cancelled":
            yield Violation(f"{task_id} was cancelled and is {facts.tasks[task_id]['state']}", (task_id,))
    endings = ("task.succeeded", "task.failed", "task.dead", "task.cancel")
    ended = Counter(e["target"].removeprefix("task:") for action in endings for e in facts.events(action))
    for task_id, times in ended.items():
        if times > 1:
            yield Violation(f"task {task_id} ended {times} times", (task_id,))


def _leases(facts: Facts, ledger: Ledger) -> Iterator[Violation]:
    """Each fence has one winner, and fences are given without a gap."""
    for (task_id, fence), instances in ledger.leases.items():
        if len(instances) > 1:
            yield Violation(f"fence {fence} of {task_id} was given to {sorted(instances)}", (task_id,))
    given: defaultdict[str, list[int]] = defaultdict(list)
    for event in facts.events("task.lease"):
        given[event["target"].removeprefix("task:")].append(int(event["data"]["fence"]))
    for task_id, fences in given.items():
        if fences != list(range(1, len(fences) + 1)):
            yield Violation(f"the fences of {task_id} are {fences}", (task_id,))


def _messages(facts: Facts, ledger: Ledger) -> Iterator[Violation]:
    """Accepted messages exist and ended; acknowledged ones do not come again."""
    for key, message_id in ledger.messages.items():
        if message_id not in facts.messages:
            yield Violation(f"the message {message_id} of {key} is lost", (message_id,))
    for message in facts.messages.values():
        if message["state"] not in ("Acked", "Dead"):
            yield Violation(f"message {message['id']} is still {message['state']}", (message["id"],))
    for message_id in ledger.acked:
        state = facts.messages[message_id]["state"] if message_id in facts.messages else "gone"
        if state not in ("Acked", "Dead"):
            yield Violation(f"message {message_id} was acknowledged and is {state}", (message_id,))
    bodies = Counter((m["sender"], m["receiver"], m["body"]) for m in facts.messages.values())
    for (sender, receiver, body), times in bodies.items():
        if times > 1:
            ids = tuple(m["id"] for m in facts.messages.values() if m["body"] == body)
            yield Violation(f"{times} messages from {sender} to {receiver} for one request", ids)


def _approvals(facts: Facts, ledger: Ledger) -> Iterator[Violation]:
    """Decided once, as the first accepted answer said."""
    for approval_id, state in ledger.votes.items():
        if facts.approvals[approval_id]["state"] != state:
            kept = facts.approvals[approval_id]["state"]
            yield Violation(f"approval {approval_id} was {state} and is {kept}", (approval_id,))
    decided = Counter(event["target"].removeprefix("approval:") for event in facts.events("approval.decide"))
    for approval_id, approval in facts.approvals.items():
        if decided[approval_id] > 1:
            yield Violation(
                f"approval {approval_id} was decided {decided[approval_id]} times", (approval_id,)
            )
        if approval["state"] == "Pending" and facts.tasks[approval["task_id"]]["state"] in OPEN_TASKS:
            yield Violation(f"approval {approval_id} still waits", (approval_id, approval["task_id"]))


def _desk(facts: Facts, ledger: Ledger) -> Iterator[Violation]:
    """Effects outside: an idempotent call has one key; another ran once, or as often as people said."""
    keys: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for line in facts.desk:
        keys[line["tool"], int(line["arguments"]["amount"])].append(line["key"])
    allowed = Counter(
        approval["task_id"]
        for approval in facts.approvals.values()
        if approval["kind"] == "OutcomeUnknown" and approval["state"] == "Approved"
    )
    owners = {int(json.loads(task["context"])["n"]): task["id"] for task in facts.tasks.values()}
    for (tool, amount), calls in keys.items():
        owner = owners[amount % LARGE]
        if len(set(calls)) > 1:
            yield Violation(f"{tool} {amount} was called under {len(set(calls))} keys", (owner,))
        if tool == "wire" and len(calls) > 1 + allowed[owner]:
            yield Violation(f"wire {amount} ran {len(calls)} times, {allowed[owner]} agreed", (owner,))


def _budgets(facts: Facts, ledger: Ledger) -> Iterator[Violation]:
    """Nothing overspent, nothing held for ever, and the sums are those of the calls."""
    spent: defaultdict[str, Decimal] = defaultdict(Decimal)
    for call in facts.calls:
        if call["state"] == "Reserved":
            yield Violation(f"a reservation of {call['task_id']} was never released", (call["task_id"],))
        for node, _ in json.loads(call["holds"]):
            spent[node] += call["cost"]
    for row in facts.budgets:
        if row["spent"] != spent[row["node"]] or row["reserved"]:
            sums = f"{row['spent']} spent, {row['reserved']} reserved, calls cost {spent[row['node']]}"
            yield Violation(f"the budget of {row['node']} is wrong: {sums}")
        if row["node"] == f"co/{SMALL}" and row["spent"] > Decimal(CAP):
            yield Violation(f"{row['node']} spent {row['spent']} of {CAP}")


async def check_chain(export: str, checkpoint: str, folder: Path) -> list[Violation]:
    """`cadre audit verify` on an export, as an auditor does it."""
    exported, signed = folder / "audit.ndjson", folder / "checkpoint.jws"
    exported.write_text(export)
    signed.write_text(checkpoint)
    command = [str(Path(sys.executable).with_name("cadre")), "audit", "verify", str(exported)]
    verify = [*command, "--checkpoint", str(signed), "-o", "json"]
    done = await asyncio.to_thread(subprocess.run, verify, capture_output=True, text=True, check=False)
    return (
        [] if done.returncode == 0 else [Violation(f"the audit chain is broken: {done.stdout}{done.stderr}")]
    )
