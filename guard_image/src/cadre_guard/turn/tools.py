"""Tool calls: asked of policy before the agent may try, and again, with effect, when it does.

Both times only calls the model itself made in this turn count: code in the agent's sandbox that talks to our
port directly has no such call to show.
"""

import asyncio
import json
import uuid
from dataclasses import dataclass

from cadre_api.protocol.base import Effect, type_json
from cadre_api.protocol.guard import BundleTool, ToolCallRequest, ToolCallResponse
from cadre_api.protocol.tasks import ApprovalState, Evaluation
from cadre_detect.jsonwalk import Json
from cadre_guard.acp.client import GATEWAY_NAME
from cadre_guard.controller.client import ControllerClient
from cadre_guard.errors import GuardError
from cadre_guard.events import EventLog
from cadre_guard.jsonvalue import JsonObject
from cadre_guard.masking.masker import Masker
from cadre_guard.telemetry import Telemetry
from cadre_guard.turn.privacy import privacy_tools, run_privacy_tool
from cadre_guard.turn.stopping import until_stopped
from cadre_guard.turn.turn import Turn

_APPROVAL_POLL_SECONDS = 25.0
_PREFIX = f"{GATEWAY_NAME}__"


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """MCP content, restored within the agent's clearance."""

    content: list[Json]
    is_error: bool = False
    structured: Json = None


class ToolGate:
    """Decisions and calls for the turns of one agent."""

    def __init__(
        self, controller: ControllerClient, masker: Masker, events: EventLog, telemetry: Telemetry
    ) -> None:
        self._controller = controller
        self._masker = masker
        self._events = events
        self._telemetry = telemetry
        self._running: dict[tuple[str, int, str], asyncio.Task[ToolAnswer]] = {}

    async def permit(self, turn: Turn, call_id: str) -> bool:
        """Policy's answer to a permission request, after a human's where one is asked. Unknown calls: no."""
        wanted = turn.record.tools.get(call_id)
        if wanted is None:
            self._events.add("acp.permission", turn, result="UnknownToolCall")
            return False
        try:
            request = await self._request(turn, call_id, wanted.name, wanted.arguments)
            with self._telemetry.span("tool.decide", turn, tool=wanted.name) as trace:
                evaluation = await until_stopped(turn, self._controller.decide(request, trace))
            refusal = await self._settle(turn, evaluation)
        except GuardError as error:
            refusal = error.message
        self._events.add("acp.permission", turn, result="Denied" if refusal else "ok", tool=wanted.name)
        if refusal and not turn.stopping.is_set():
            turn.record.refusals[call_id] = refusal
        return not refusal

    async def run(self, turn: Turn, call_id: str, name: str, arguments: JsonObject) -> ToolAnswer:
        """Execute once; a repeat of the same call id waits for, or repeats, the first one's answer."""
        wanted = turn.record.tools.get(call_id)
        if wanted is None or wanted.name != f"{_PREFIX}{name}":
            return _refused("the model made no such call in this turn")
        key = (turn.lease.task_id, turn.lease.fence, call_id)
        if key not in self._running:
            self._running[key] = asyncio.create_task(self._run_once(turn, call_id, wanted.name, arguments))
        return await asyncio.shield(self._running[key])

    def forget(self, turn: Turn) -> None:
        """Cancel what still runs for a turn and drop its answers."""
        for key in [key for key in self._running if key[:2] == (turn.lease.task_id, turn.lease.fence)]:
            self._running.pop(key).cancel()

    async def _run_once(self, turn: Turn, call_id: str, name: str, arguments: JsonObject) -> ToolAnswer:
        try:
            request = await self._request(turn, call_id, name, arguments)
            own = privacy_tools(turn.bundle).get(request.name)
            if own is not None:
                return await self._run_here(turn, request, own, arguments)
            while True:
                response = await self._called(turn, request)
                refusal = await self._settle(turn, response.evaluation)
                if refusal:
                    turn.record.refusals[call_id] = refusal
                    return _refused(refusal)
                if response.evaluation.effect is Effect.ALLOW:
                    return await self._restored(turn, response)
        except GuardError as error:
            return _refused(f"{error.reason}: {error.message}")

    async def ask(self, turn: Turn, tool: BundleTool, arguments: JsonObject) -> ToolAnswer:
        """One of the guard's own tools, for a program of the agent's that asks without its model."""
        try:
            request = await self._request(turn, f"program_{uuid.uuid4().hex}", tool.name, arguments)
            return await self._run_here(turn, request, tool, arguments)
        except GuardError as error:
            return _refused(f"{error.reason}: {error.message}")

    async def _run_here(
        self, turn: Turn, request: ToolCallRequest, tool: BundleTool, arguments: JsonObject
    ) -> ToolAnswer:
        evaluation = await self._decided(turn, request)
        if evaluation.effect is not Effect.ALLOW:
            return _refused(turn.record.refusals[request.tool_call_id])
        edited = await self._edited(turn, evaluation)
        with self._telemetry.span("tool.call", turn, tool=request.name):
            work = run_privacy_tool(self._masker, turn, tool, arguments if edited is None else edited)
            answer = await until_stopped(turn, work)
        texts = []
        if edited is not None:
            texts = [self._masker.restore_text(turn.pairs, evaluation.message)]
            answer["calledWith"] = edited
        content: list[Json] = [{"type": "text", "text": text} for text in (*texts, json.dumps(answer))]
        return ToolAnswer(content, structured=answer)

    async def _decided(self, turn: Turn, request: ToolCallRequest) -> Evaluation:
        """Allow, or a refusal on record; after a person's yes it is asked again, for what they wrote."""
        while True:
            with self._telemetry.span("tool.decide", turn, tool=request.name) as trace:
                evaluation = await until_stopped(turn, self._controller.decide(request, trace))
            refusal = await self._settle(turn, evaluation)
            if refusal:
                turn.record.refusals[request.tool_call_id] = refusal
                return evaluation.model_copy(update={"effect": Effect.DENY})
            if evaluation.effect is Effect.ALLOW:
                return evaluation

    async def _edited(self, turn: Turn, evaluation: Evaluation) -> dict[str, Json] | None:
        """The arguments that an approver put in the place of the asked ones, within the agent's clearance."""
        if evaluation.edited is None:
            return None
        edited = _as_json(evaluation.edited)
        await self._masker.fetch_values(turn.pairs, _strings(edited))
        restored = self._masker.restore(turn.pairs, edited)
        assert isinstance(restored, dict)
        return restored

    async def _called(self, turn: Turn, request: ToolCallRequest) -> ToolCallResponse:
        with self._telemetry.span("tool.call", turn, tool=request.name) as trace:
            return await until_stopped(turn, self._controller.call_tool(request, turn.remaining(), trace))

    async def _request(self, turn: Turn, call_id: str, name: str, arguments: JsonObject) -> ToolCallRequest:
        masked = await self._masker.mask(turn.pairs, _as_json(arguments))
        return ToolCallRequest(
            task_id=turn.lease.task_id,
            session_id=turn.lease.session_id,
            fence=turn.lease.fence,
            tool_call_id=call_id,
            name=name.removeprefix(_PREFIX),
            arguments=_as_object(masked.document),
        )

    async def _settle(self, turn: Turn, evaluation: Evaluation) -> str:
        """Wait for the approval if one is needed; answers why it must not run, or nothing."""
        if evaluation.effect is Effect.DENY:
            return f"policy denies it ({evaluation.reason}): {evaluation.message}".rstrip(": ")
        if evaluation.effect is Effect.ALLOW:
            return ""
        if not evaluation.approval_id:
            return "an approval is needed but could not be asked for"
        with turn.on_hold(), self._telemetry.span("approval.wait", turn, approval=evaluation.approval_id):
            return await self._human_answer(turn, evaluation.approval_id)

    async def _human_answer(self, turn: Turn, approval_id: str) -> str:
        while True:
            wait = self._controller.wait_approval(approval_id, _APPROVAL_POLL_SECONDS)
            approval = await until_stopped(turn, wait)
            if approval.state is ApprovalState.APPROVED:
                return ""
            if approval.state is not ApprovalState.PENDING:
                return f"the approver said no ({approval.state.value}): {approval.reason}".rstrip(": ")

    async def _restored(self, turn: Turn, response: ToolCallResponse) -> ToolAnswer:
        content: list[Json] = [_as_json(block) for block in response.content]
        structured = None if response.structured_content is None else _as_json(response.structured_content)
        fetched = await self._masker.fetch_values(turn.pairs, [*_strings(content), *_strings(structured)])
        restored = self._masker.restore(turn.pairs, content)
        assert isinstance(restored, list)
        if fetched:
            self._events.add("guard.restore", turn, count=fetched)
        return ToolAnswer(restored, response.is_error, self._masker.restore(turn.pairs, structured))


def _refused(why: str) -> ToolAnswer:
    text = f"This call was refused: {why}. Do not repeat it; tell the requester why it could not be done."
    return ToolAnswer([{"type": "text", "text": text}], is_error=True)


def _as_json(value: type_json) -> Json:
    return value  # type: ignore[return-value]  # parsed JSON by origin


def _as_object(value: Json) -> JsonObject:
    assert isinstance(value, dict)
    return value


def _strings(value: Json) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *_strings(item))]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return []
