"""The tools Cadre itself gives to agents: other agents' work and people's consent, on behalf of the task
that asks.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

from cadre_api.protocol.messages import MessageSend, Severity
from cadre_api.protocol.tasks import ApprovalState, TaskCreate, TaskState, TaskView
from cadre_controller.errors import (
    BudgetExceeded,
    CadreError,
    Denied,
    InvalidInput,
    NotFound,
)
from cadre_controller.gateways.tools.decide import DecidedCall
from cadre_controller.gateways.tools.mcp import ToolResult as RawResult
from cadre_controller.gateways.tools.results import error_result, text_block
from cadre_controller.ports import AgentIdentity, Clock
from cadre_controller.services.assembly import Services
from cadre_controller.services.models import IntentKind, ToolResult
from cadre_core.model import EffectiveTool

_SLICE = 2.0
_LONGEST_WAIT = 3600.0
_FINAL = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.DEAD})
_TOLD = (Denied, NotFound, InvalidInput, BudgetExceeded)
"""Refusals that the model should read; all others are the guard's to retry."""

Run = Callable[[AgentIdentity, DecidedCall, Mapping[str, object]], Awaitable[RawResult]]


class MeshTools:
    """Runs the builtin tools through the services."""

    def __init__(self, services: Services, clock: Clock, stopping: asyncio.Event) -> None:
        self._services = services
        self._clock = clock
        self._stopping = stopping
        self._tools: dict[str, Run] = {
            "send_task": self._send_task,
            "fetch_status": self._fetch_status,
            "request_approval": self._request_approval,
            "notify": self._notify,
        }

    async def run(
        self, identity: AgentIdentity, call: DecidedCall, tool: EffectiveTool
    ) -> tuple[RawResult, bool]:
        """The result and whether it is a recorded one; refusals that a model can act on are results."""
        try:
            return await self._tools[tool.tool](identity, call, call.arguments), False
        except _TOLD as error:
            return error_result(f"{error.reason}: {error.message}. {error.fix}".strip()), False

    async def _send_task(
        self, identity: AgentIdentity, call: DecidedCall, arguments: Mapping[str, object]
    ) -> RawResult:
        hints = arguments.get("policyHints")
        skills = str(hints.get("skills", "")) if isinstance(hints, Mapping) else ""
        context = arguments.get("context")
        body = _task(
            arguments,
            prompt=str(arguments["task"]),
            skills=tuple(filter(None, (skill.strip() for skill in skills.split(",")))),
            context={str(k): str(v) for k, v in context.items()} if isinstance(context, Mapping) else {},
        )
        view = await self._create_once(identity, call, body)
        return _answer({"taskId": view.id, "agent": view.agent, "state": view.state.value})

    async def _notify(
        self, identity: AgentIdentity, call: DecidedCall, arguments: Mapping[str, object]
    ) -> RawResult:
        """A message: to the agent named, or to the one that routing would give a task of that role."""
        route = await self._services.tasks.route(identity.actor, _task(arguments, prompt="note"))
        if not route.agent:
            raise NotFound(route.reason, "no agent can take this note", "name another target")
        note = MessageSend(
            to=f"agent:{route.agent}",
            body=str(arguments["message"]),
            severity=Severity(str(arguments.get("severity", "Info"))),
        )
        # a later attempt of the task that says the same again says nothing new
        key = f"mesh:{call.held.id}:{call.arguments_hash}:{call.ordinal}"
        ids = await self._services.messages.send(identity.actor, note, key=key, held=call.held)
        return _answer({"ack": True, "messageId": ids[0], "agent": route.agent})

    async def _create_once(self, identity: AgentIdentity, call: DecidedCall, body: TaskCreate) -> TaskView:
        """A child task; the key makes the same call of a later attempt find the same child."""
        held = call.held
        intent = await self._services.intents.begin(
            held, call.target, call.arguments_hash, call.request.tool_call_id, call.ordinal
        )
        try:
            created = await self._services.tasks.create(
                identity.actor,
                body,
                idempotency_key=f"mesh:{intent.idempotency_key}",
                parent=held.as_parent(),
                traceparent=held.traceparent,
            )
        except BaseException:
            self._services.intents.leave(intent)
            raise
        if intent.kind in (IntentKind.NEW, IntentKind.CUT):
            done = ToolResult((text_block(json.dumps({"taskId": created.view.id})),))
            await self._services.intents.record(intent, done)
        return created.view

    async def _fetch_status(
        self, identity: AgentIdentity, call: DecidedCall, arguments: Mapping[str, object]
    ) -> RawResult:
        held = call.held
        task_id = str(arguments["taskId"])
        view = await self._services.tasks.get(held.tenant, task_id)
        if view.parent_task_id != held.id:
            raise Denied(
                "NotYourTask", f"task {task_id} was not sent by this task", "use the id that send_task gave"
            )

        async def look(wait: float) -> bool:
            nonlocal view
            view = await self._services.tasks.wait_final(held.tenant, task_id, wait)
            return view.state in _FINAL

        await self._wait(identity, call, _seconds(arguments.get("waitSeconds")), look)
        if view.result:
            await self._services.sessions.regrant(
                held.tenant, view.session_id, held.session_id, (view.result,)
            )
        answer = {"taskId": view.id, "state": view.state.value, "result": view.result, "reason": view.reason}
        return _answer({key: value for key, value in answer.items() if value})

    async def _request_approval(
        self, identity: AgentIdentity, call: DecidedCall, arguments: Mapping[str, object]
    ) -> RawResult:
        held = call.held
        step = str(arguments.get("stepId") or call.arguments_hash[:19])
        approval = await self._services.approvals.request_step(
            identity.actor,
            held.session_id,
            step,
            str(arguments.get("targetRole") or "Head"),
            {"text": str(arguments["payload"])},
            requester=held.requester,
        )
        state = approval.state

        async def look(wait: float) -> bool:
            nonlocal state
            state = (await self._services.approvals.wait(held.tenant, approval.id, wait)).state
            return state is not ApprovalState.PENDING

        await self._wait(identity, call, _LONGEST_WAIT, look)
        return _answer({"approvalId": approval.id, "stepId": step, "state": state.value})

    async def _wait(
        self,
        identity: AgentIdentity,
        call: DecidedCall,
        seconds: float,
        look: Callable[[float], Awaitable[bool]],
    ) -> None:
        """Look until it is there, time is up, the lease is lost or the controller stops; the task shows as
        Waiting.
        """
        if await look(0) or seconds <= 0:
            return
        deadline = self._clock.monotonic() + min(seconds, _LONGEST_WAIT)
        await self._services.leases.set_waiting(call.held, True)
        try:
            while (left := deadline - self._clock.monotonic()) > 0 and not self._stopping.is_set():
                if await look(min(_SLICE, left)):
                    return
                await self._services.leases.held(identity, call.held.id, call.held.fence)
        finally:
            await self._set_running(call)

    async def _set_running(self, call: DecidedCall) -> None:
        try:
            await self._services.leases.set_waiting(call.held, False)
        except CadreError:
            return


def _task(arguments: Mapping[str, object], **fields: object) -> TaskCreate:
    target = {"role": str(arguments.get("targetRole") or ""), "agent": str(arguments.get("agentId") or "")}
    if not any(target.values()):
        raise InvalidInput("TargetMissing", "neither targetRole nor agentId is given", "name one of them")
    return TaskCreate.model_validate({**target, **fields})


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _answer(value: Mapping[str, object]) -> RawResult:
    structured = dict(value)
    return RawResult((text_block(json.dumps(structured, ensure_ascii=False)),), structured)
