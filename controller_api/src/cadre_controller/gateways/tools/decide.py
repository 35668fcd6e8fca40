"""The decision about one tool call: on the arguments as the server would get them, never on what the agent
says they are.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cadre_api.protocol.base import Effect, type_json
from cadre_api.protocol.guard import ToolDecisionRequest
from cadre_api.protocol.tasks import ApprovalState, ApprovalView, Evaluation
from cadre_controller.errors import Denied, MaskingFailed
from cadre_controller.ports import AgentIdentity
from cadre_controller.services.assembly import Services
from cadre_controller.services.edits import judge, within
from cadre_controller.services.models import HeldTask, LiveChart, ToolApprovalRequest
from cadre_controller.tokens_in import token_candidates
from cadre_core.arguments import arguments_hash, check_arguments
from cadre_core.model import EffectiveAgent, EffectiveTool
from cadre_core.policy.decide import Decision
from cadre_detect import restore_json

EDITED = "A person approved this call with other arguments:"
_PLAIN = re.compile(r"[\w.:|-]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class DecidedCall:
    """A call with everything that was found out about it."""

    held: HeldTask
    chart: LiveChart
    agent: EffectiveAgent
    request: ToolDecisionRequest
    tool: EffectiveTool | None
    arguments: Mapping[str, object]
    """As delivered to the server: restored within its clearance."""
    arguments_hash: str
    evaluation: Evaluation
    edited_hash: str = ""
    """Of `arguments`, where an approver changed them; `arguments_hash` stays that of what was asked for: it
    names the call."""
    ordinal: int = 0
    """The one of the task's equal calls that a person approved; 0 = no approval was needed."""

    @property
    def target(self) -> str:
        """`server/tool`."""
        return f"{self.tool.server}/{self.tool.tool}" if self.tool else self.request.name


class ToolDecider:
    """Fence, bundle, schema, policy, approval: in this order, each able to say no."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def decide(self, identity: AgentIdentity, request: ToolDecisionRequest) -> DecidedCall:
        """Decide; asks for an approval where one is needed. Raises LeaseLost, Denied(WrongSession,
        AgentNotRunning).
        """
        request = _plain(request)
        held = await self._services.leases.held(identity, request.task_id, request.fence)
        if request.session_id != held.session_id:
            raise Denied("WrongSession", "the session is not the task's", "send the session of the lease")
        chart = self._services.chart.current(identity.tenant)
        agent = chart.snapshot.agents.get(identity.agent)
        if agent is None or agent.lifecycle != "Running":
            raise Denied(
                "AgentNotRunning", f"agent {identity.agent} is not running in the chart", "add or resume it"
            )
        tool = next((tool for tool in agent.tools if tool.name == request.name), None)
        if tool is None:
            refusal = _deny("NotInProfile", f"{request.name} is not among the agent's tools")
            return DecidedCall(held, chart, agent, request, None, {}, "", refusal)
        return await self._decide_known(identity, held, chart, agent, request, tool)

    async def _decide_known(
        self,
        identity: AgentIdentity,
        held: HeldTask,
        chart: LiveChart,
        agent: EffectiveAgent,
        request: ToolDecisionRequest,
        tool: EffectiveTool,
    ) -> DecidedCall:
        request = await self._masked(held, agent, request)
        arguments = await self._delivered(identity, held, request.arguments, tool)
        problems = check_arguments(tool.input_schema, arguments)
        if problems:
            refusal = _deny("SchemaMismatch", "; ".join(problems)[:1000])
            return DecidedCall(held, chart, agent, request, tool, arguments, "", refusal)
        digest = arguments_hash(arguments)
        decision = judge(chart, agent, tool, arguments, request.arguments)
        evaluation, ordinal, approval = await self._with_approval(held, request, tool, digest, decision)
        call = DecidedCall(held, chart, agent, request, tool, arguments, digest, evaluation, ordinal=ordinal)
        if approval is None or approval.edited is None or evaluation.effect is not Effect.ALLOW:
            return call
        return await self._as_edited(identity, call, tool, approval, approval.edited)

    async def _as_edited(
        self,
        identity: AgentIdentity,
        call: DecidedCall,
        tool: EffectiveTool,
        approval: ApprovalView,
        edited: type_json,
    ) -> DecidedCall:
        """The call with what the approver wrote: it must still be what was approved, and permitted."""
        arguments = await self._delivered(identity, call.held, edited, tool)
        decision = judge(call.chart, call.agent, tool, arguments, edited)
        same = arguments_hash(arguments) == approval.edited_hash
        if not same or check_arguments(tool.input_schema, arguments):
            refusal = _deny("ArgumentsChanged", "the arguments are not those that were approved any more")
            return replace(call, evaluation=refusal)
        if decision.effect is Effect.DENY or not within(decision, approval):
            refusal = _deny(decision.reason, decision.message or "the rules have changed since")
            return replace(call, evaluation=refusal)
        message = f"{EDITED} {json.dumps(edited, ensure_ascii=False)}"
        evaluation = call.evaluation.model_copy(update={"message": message, "edited": edited})
        return replace(call, arguments=arguments, edited_hash=approval.edited_hash, evaluation=evaluation)

    async def _masked(
        self, held: HeldTask, agent: EffectiveAgent, request: ToolDecisionRequest
    ) -> ToolDecisionRequest:
        """The request with tokens for what the guard left in clear: only tokens are judged by class and
        clearance, stored and shown.
        """
        rules = self._services.chart.guard_rules(held.tenant, agent.key)
        masker = self._services.masker
        value = (await masker.mask_json(held.tenant, held.session_id, request.arguments, rules)).value
        if not isinstance(value, dict):
            raise MaskingFailed("MaskingFailed", "the arguments could not be masked", "see the log")
        return request.model_copy(update={"arguments": value})

    async def _delivered(
        self, identity: AgentIdentity, held: HeldTask, arguments: type_json, tool: EffectiveTool
    ) -> Mapping[str, object]:
        tokens = token_candidates(arguments)
        if not tokens or not tool.clearance:
            return arguments
        values = await self._services.pseudonyms.restore(
            identity.actor, held.session_id, tokens, tool.clearance
        )
        restored = restore_json(arguments, values)  # type: ignore[arg-type]
        return restored if isinstance(restored, Mapping) else arguments

    async def _with_approval(
        self,
        held: HeldTask,
        request: ToolDecisionRequest,
        tool: EffectiveTool,
        digest: str,
        decision: Decision,
    ) -> tuple[Evaluation, int, ApprovalView | None]:
        evaluation = Evaluation(
            effect=decision.effect,
            rules=tuple(decision.rules),
            reason=decision.reason,
            message=decision.message,
        )
        if decision.effect is not Effect.REQUIRE_APPROVAL:
            return evaluation, 0, None
        target = f"{tool.server}/{tool.tool}"
        ordinal = await self._services.intents.ordinal(held, target, digest, request.tool_call_id)
        wanted = ToolApprovalRequest(
            tool=target,
            arguments=request.arguments,
            arguments_hash=digest,
            rules=tuple(decision.approvals),
            reason=decision.message,
            ordinal=ordinal,
        )
        approval = await self._services.approvals.request_tool(held, wanted)
        return _after_approval(evaluation, approval), ordinal, approval


def _after_approval(evaluation: Evaluation, approval: ApprovalView) -> Evaluation:
    """What the approval's state makes of the decision."""
    change: dict[str, object] = {"approval_id": approval.id}
    match approval.state:
        case ApprovalState.APPROVED:
            change |= {"effect": Effect.ALLOW, "reason": "Approved"}
        case ApprovalState.DENIED:
            change |= {
                "effect": Effect.DENY,
                "reason": "ApprovalDenied",
                "message": "a person refused this call",
            }
        case ApprovalState.EXPIRED:
            change |= {
                "effect": Effect.DENY,
                "reason": "ApprovalExpired",
                "message": "nobody decided in time",
            }
        case ApprovalState.PENDING:
            change |= {"reason": "ApprovalRequired"}
    return evaluation.model_copy(update=change)


def _plain(request: ToolDecisionRequest) -> ToolDecisionRequest:
    """The request with names that may be recorded: a model chooses them, so they could quote anything."""
    name = request.name if _PLAIN.fullmatch(request.name) else "unnamed"
    call_id = request.tool_call_id
    if not _PLAIN.fullmatch(call_id):
        call_id = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()
    return request.model_copy(update={"name": name, "tool_call_id": call_id})


def _deny(reason: str, message: str) -> Evaluation:
    return Evaluation(effect=Effect.DENY, reason=reason, message=message)
