"""Simulated guards: plain HTTP clients of the guard port that die and come again as another instance."""

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from typing import cast

from tests.torture.client import Link, Reply, Unanswered
from tests.torture.history import History, Ledger
from tests.torture.plan import LARGE, Step

TTL = 3.0
_POLL = 8.0
_LOST = (409, 404)


class Killed(Exception):  # noqa: N818 - what it says
    """The plan has the guard die here."""


class Guard:
    """One agent's guard; each `instance` lives until it is killed."""

    def __init__(self, agent: str, link: Link, history: History, ledger: Ledger, seed: int) -> None:
        self.agent = agent
        self._link = link
        self._history = history
        self._ledger = ledger
        self._chance = random.Random(f"{seed}/{agent}")
        self._lives = 0
        self._life: asyncio.Task[None] | None = None

    @property
    def instance(self) -> str:
        """The one that lives now."""
        return f"{self.agent.replace('/', '.')}-{self._lives}"

    async def run(self) -> None:
        """Live, be killed, live again."""
        while True:
            self._lives += 1
            self._life = asyncio.create_task(self._instance())
            try:
                await asyncio.wait([self._life])
            finally:
                self._life.cancel()
            with suppress(Killed, Unanswered, asyncio.CancelledError):
                self._life.result()
            await asyncio.sleep(self._chance.uniform(0.05, 0.5))

    def kill(self) -> None:
        """Stop in the middle of whatever it does; nothing is said to anybody."""
        if self._life is not None:
            self._life.cancel()

    async def _instance(self) -> None:
        await self._sign_in()
        while True:
            asked = {"capacity": 1, "waitSeconds": _POLL, "messages": 5}
            reply = await self._link.post("/guard/v1/claims", asked)
            if reply.status != 200:
                if reply.status in _LOST:
                    raise Killed(reply.reason)
                await self._sign_in()
                continue
            await self._take(cast("list[Mapping[str, object]]", reply.body["messages"]))
            for lease in cast("list[Mapping[str, object]]", reply.body["leases"]):
                await self._work(lease)

    async def _sign_in(self) -> None:
        proof = {"bootstrap": f"secret of {self.agent}", "agent": self.agent, "instance": self.instance}
        reply = await self._link.post("/guard/v1/token", proof)
        if reply.status != 200:
            raise Killed(reply.reason)
        self._link.token = str(reply.body["token"])

    async def _take(self, messages: list[Mapping[str, object]]) -> None:
        """Acknowledge most, return some, forget some; the forgotten come again."""
        body: dict[str, list[str]] = {"acked": [], "returned": []}
        for message in messages:
            lot = self._chance.random()
            if lot < 0.95:
                body["acked" if lot > 0.05 else "returned"].append(str(message["id"]))
        if messages:
            reply = await self._link.post("/guard/v1/messages/ack", body)
            if reply.status == 200:
                self._ledger.acked |= set(body["acked"])
            self._history.add(self.instance, "ack", *body["acked"], outcome=str(reply.status))

    async def _work(self, lease: Mapping[str, object]) -> None:
        task, fence = str(lease["taskId"]), cast("int", lease["fence"])
        self._history.add(self.instance, "leased", task, outcome=f"fence {fence}")
        self._ledger.leases.setdefault((task, fence), set()).add(self.instance)
        beating = asyncio.create_task(self._beat(task, fence))
        try:
            await self._steps(lease)
        except Unanswered:
            self._history.add(self.instance, "gave up", task)
        finally:
            beating.cancel()

    async def _steps(self, lease: Mapping[str, object]) -> None:
        context = cast("Mapping[str, str]", lease["context"])
        task, number = str(lease["taskId"]), int(context.get("n", 0))
        for place, step in enumerate(context.get("plan", "").split()):
            reply = await self._step(Step(step), lease, number, f"c{place}")
            if reply is not None and reply.status in _LOST:
                self._history.add(self.instance, step, task, outcome=f"{reply.status} {reply.reason}")
                return
            if step == Step.FAIL and lease["attempt"] == 1:
                return
        await self._complete(task, cast("int", lease["fence"]), number)

    async def _complete(self, task: str, fence: int, number: int) -> None:
        result = f"done {number} by {self.instance} with fence {fence}"
        path = f"/guard/v1/leases/{task}/complete"
        reply = await self._link.post(path, {"fence": fence, "result": result})
        self._history.add(self.instance, "complete", task, outcome=f"{reply.status} {reply.reason}")
        if reply.status == 204:
            self._ledger.finished[task] = result

    async def _step(self, step: Step, lease: Mapping[str, object], number: int, call_id: str) -> Reply | None:
        match step:
            case Step.MODEL:
                return await self._model(lease, call_id)
            case Step.BOOK:
                return await self._tool(lease, "desk_book", {"amount": number}, call_id)
            case Step.BOOK_LARGE:
                return await self._tool(lease, "desk_book", {"amount": LARGE + number}, call_id)
            case Step.WIRE:
                return await self._tool(lease, "desk_wire", {"amount": number}, call_id)
            case Step.NOTE:
                other = self._chance.choice(("co/a0", "co/a1", "co/a2"))
                note = {"agentId": other, "message": f"note {number}"}
                return await self._tool(lease, "mesh_notify", note, call_id)
            case Step.CRASH if lease["attempt"] == 1:
                raise Killed
            case Step.FAIL if lease["attempt"] == 1:
                body = {"fence": lease["fence"], "reason": "AgentCrashed"}
                return await self._link.post(f"/guard/v1/leases/{lease['taskId']}/fail", body)
        return None

    async def _beat(self, task: str, fence: int) -> None:
        with suppress(Unanswered):
            while True:
                await asyncio.sleep(TTL / 3)
                reply = await self._link.post(f"/guard/v1/leases/{task}/heartbeat", {"fence": fence})
                if reply.status != 200:
                    return

    async def _model(self, lease: Mapping[str, object], call_id: str) -> Reply:
        body = {
            "model": "cadre-work",
            "max_tokens": 50,
            "messages": [{"role": "user", "content": "Note it."}],
        }
        names = {"Cadre-Task": "taskId", "Cadre-Session": "sessionId", "Cadre-Fence": "fence"}
        headers = {name: str(lease[field]) for name, field in names.items()}
        headers |= {"Cadre-Call-Id": call_id, "traceparent": str(lease["traceparent"])}
        return await self._link.call("POST", "/guard/v1/model/chat/completions", body, headers)

    async def _tool(self, lease: Mapping[str, object], name: str, arguments: object, call_id: str) -> Reply:
        """Ask, wait for a person where one must agree, and call."""
        about = {field: lease[field] for field in ("taskId", "sessionId", "fence")}
        body = {**about, "toolCallId": call_id, "name": name, "arguments": arguments}
        decided = await self._link.post("/guard/v1/tools/decide", body)
        waits_for = str(decided.body.get("approvalId", ""))
        while waits_for:
            reply = await self._link.get(f"/guard/v1/approvals/{waits_for}?wait={_POLL}")
            if reply.status != 200 or reply.body["state"] != "Pending":
                break
        return await self._link.post("/guard/v1/tools/call", body)
