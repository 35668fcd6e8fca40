"""The people: some ask for work and write messages, one decides about approvals."""

import asyncio
import random
from collections.abc import Mapping
from typing import cast

from tests.torture.client import PATIENCE, Link, Unanswered
from tests.torture.company import FLOW
from tests.torture.history import History, Ledger
from tests.torture.plan import TaskPlan, task_plan

SECRET = "the desktop's secret"


async def sign_in(link: Link, person: str = "") -> None:
    """A token for a person, or for the administrator."""
    body = {"grant": "desktop", "secret": SECRET, "person": person}
    async with asyncio.timeout(PATIENCE):
        while (reply := await link.post("/api/v1/auth/token", body)).reason == "ChartMissing":
            await asyncio.sleep(0.2)  # the other controller sees the chart a little later
    assert reply.status == 200, reply.text
    link.token = str(reply.body["accessToken"])


class Submitter:
    """Asks for planned tasks, one after the other, and for some of them twice."""

    def __init__(
        self, name: str, link: Link, agents: list[str], history: History, ledger: Ledger, seed: int
    ) -> None:
        self._name = name
        self._link = link
        self._agents = agents
        self._history = history
        self._ledger = ledger
        self._seed = seed

    async def run(self, numbers: "asyncio.Queue[int]", pause: float) -> None:
        """Until cancelled; what was begun then is finished."""
        while True:
            number = await numbers.get()
            plan = task_plan(self._seed, number, self._agents)
            try:
                await self._submit(plan)
                await self._message(plan)
                if plan.flow:
                    await self._flow(plan)
            except Unanswered as error:
                self._history.add(self._name, "unanswered", f"n{number}", outcome=str(error))
            await asyncio.sleep(pause)

    async def _submit(self, plan: TaskPlan) -> None:
        for _ in range(1 + plan.repeated):
            context = {"n": str(plan.number), "plan": " ".join(plan.steps)}
            body = {"prompt": f"Task {plan.number}.", "context": context, "agent": plan.agent}
            reply = await self._link.post("/api/v1/tasks", body, Idempotency_Key=f"task-{plan.number}")
            task = str(reply.body.get("id", ""))
            about = (task, f"n{plan.number}")
            self._history.add(self._name, "submit", *about, outcome=f"{reply.status} {reply.reason}")
            if reply.status not in (200, 201):
                return
            known = self._ledger.tasks.setdefault(plan.number, task)
            if known != task:
                self._ledger.duplicates.append((f"task-{plan.number}", known, task))
        if plan.cancelled:
            await self._cancel(self._ledger.tasks[plan.number])

    async def _cancel(self, task: str) -> None:
        reply = await self._link.post(f"/api/v1/tasks/{task}/cancel", {})
        state = str(reply.body.get("state", reply.reason))
        self._history.add(self._name, "cancel", task, outcome=f"{reply.status} {state}")
        if state == "Cancelled":
            self._ledger.cancelled.add(task)

    async def _flow(self, plan: TaskPlan) -> None:
        """Begin a run of the workflow, perhaps twice, and perhaps stop it."""
        key, body = f"flow-{plan.number}", {"parameters": {"n": str(plan.number)}}
        path = f"/api/v1/workflows/{FLOW}/execute"
        for _ in range(1 + plan.repeated):
            reply = await self._link.post(path, body, Idempotency_Key=key)
            run = str(reply.body.get("id", ""))
            self._history.add(self._name, "begin", run, f"f{plan.number}", outcome=f"{reply.status}")
            if reply.status not in (200, 201):
                return
            known = self._ledger.runs.setdefault(plan.number, run)
            if known != run:
                self._ledger.duplicates.append((key, known, run))
        if plan.cancelled:
            run = self._ledger.runs[plan.number]
            reply = await self._link.post(f"/api/v1/executions/{run}/cancel", {})
            self._history.add(self._name, "stop", run, outcome=f"{reply.status}")
            if reply.status == 200 and reply.body["state"] in ("Running", "Stopping", "Cancelled"):
                self._ledger.stopped.add(run)

    async def _message(self, plan: TaskPlan) -> None:
        if not plan.agent:
            return
        key = f"message-{plan.number}"
        body = {"to": f"agent:{plan.agent}", "body": f"Mind task {plan.number}."}
        for _ in range(1 + plan.repeated):
            reply = await self._link.post("/api/v1/messages", body, Idempotency_Key=key)
            found = cast("list[str]", reply.body.get("ids", []))
            self._history.add(self._name, "send", *found, outcome=f"{reply.status} {reply.reason}")
            for message in found:
                known = self._ledger.messages.setdefault(key, message)
                if known != message:
                    self._ledger.duplicates.append((key, known, message))


class Approver:
    """Decides about everything that waits for a decision, says some of it twice, and reads its messages."""

    def __init__(self, name: str, link: Link, history: History, ledger: Ledger, seed: int) -> None:
        self._name = name
        self._link = link
        self._history = history
        self._ledger = ledger
        self._chance = random.Random(f"{seed}/{name}")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                reply = await self._link.get("/api/v1/approvals?state=Pending&limit=200")
                for view in cast("list[Mapping[str, object]]", reply.body.get("items", [])):
                    await self._decide(str(view["id"]))
                await self._read()
            except Unanswered:
                continue
            await asyncio.sleep(0.3)

    async def _read(self) -> None:
        reply = await self._link.get("/api/v1/messages?state=Pending&limit=200")
        items = cast("list[Mapping[str, object]]", reply.body.get("items", []))
        if items:
            await self._link.post("/api/v1/messages/ack", {"acked": [str(view["id"]) for view in items]})

    async def _decide(self, approval: str) -> None:
        decision = "Approved" if self._chance.random() < 0.8 else "Denied"
        for _ in range(1 + (self._chance.random() < 0.3)):
            path = f"/api/v1/approvals/{approval}/decision"
            reply = await self._link.post(path, {"decision": decision})
            outcome = f"{reply.status} {reply.reason or reply.body.get('state', '')}"
            self._history.add(self._name, f"decide {decision}", approval, outcome=outcome)
            if reply.status == 200:
                self._ledger.votes.setdefault(approval, str(reply.body["state"]))
