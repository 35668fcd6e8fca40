"""Reads what the database and the audit say at the end, and holds it against what was promised to whom."""

import asyncio
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from tests.torture.company import CAP, SMALL
from tests.torture.facts import OPEN_TASKS, Facts, Violation
from tests.torture.flows import check_runs
from tests.torture.history import Ledger
from tests.torture.plan import LARGE


def check(facts: Facts, ledger: Ledger) -> list[Violation]:
    """Every promise that was not kept."""
    checks = (_requests, _results, _leases, _messages, _approvals, _desk, _budgets, check_runs)
    return [violation for one in checks for violation in one(facts, ledger)]


def _requests(facts: Facts, ledger: Ledger) -> Iterator[Violation]:
    """One task for each accepted request, one audit record for each task, none for what was refused."""
    for key, first, other in ledger.duplicates:
        yield Violation(f"the request {key} was answered with two ids", (first, other))
    made: defaultdict[int, list[str]] = defaultdict(list)
    for number, task in facts.numbers():
        made[number].append(task["id"])
    open_tasks = [task for task in facts.tasks.values() if task["state"] in OPEN_TASKS]
    yield from (Violation(f"task {t['id']} is stuck in {t['state']}", (t["id"],)) for t in open_tasks)
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
        task = facts.tasks.get(approval["task_id"])
        if approval["state"] == "Pending" and task is not None and task["state"] in OPEN_TASKS:
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
    owners = {number: task["id"] for number, task in facts.numbers()}
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
