"""Arguments that an approver changes: masked, checked and judged as those of a call are."""

from collections.abc import Mapping
from dataclasses import dataclass

from cadre_api.protocol.base import Effect, type_json
from cadre_api.protocol.tasks import ApprovalKind, ApprovalView
from cadre_controller.errors import Denied, InvalidInput
from cadre_controller.ports import Masker
from cadre_controller.services.chart import ChartService
from cadre_controller.services.kernel import dump, system_actor
from cadre_controller.services.models import LiveChart
from cadre_controller.services.pseudonyms import PseudonymService
from cadre_controller.store.work import Statement
from cadre_controller.tokens_in import classes_in, token_candidates
from cadre_core.arguments import arguments_hash, check_arguments
from cadre_core.model import EffectiveAgent, EffectiveTool
from cadre_core.policy.decide import Decision, PolicyRequest, ToolResource, evaluate
from cadre_detect import restore_json


@dataclass(frozen=True, slots=True)
class Edit:
    """Arguments that may be approved in place of others."""

    arguments: type_json
    """Masked."""
    hash: str
    """Of the arguments as delivered."""

    def statement(self, tenant: str, approval_id: str) -> Statement:
        """Keep it with the approval."""
        return Statement("approval_edit", (tenant, approval_id, dump(self.arguments), self.hash))


class Edits:
    """Checks what an approver writes."""

    def __init__(self, chart: ChartService, masker: Masker, pseudonyms: PseudonymService) -> None:
        self._chart = chart
        self._masker = masker
        self._pseudonyms = pseudonyms

    async def check(self, view: ApprovalView, arguments: type_json) -> Edit:
        """The arguments, masked and hashed. Raises InvalidInput(EditRefused, SchemaMismatch), Denied."""
        live = self._chart.current(view.tenant)
        agent = live.snapshot.agents.get(view.agent)
        tools = agent.tools if agent is not None else ()
        tool = next((t for t in tools if f"{t.server}/{t.tool}" == view.tool), None)
        if view.kind is not ApprovalKind.TOOL_CALL or agent is None or tool is None:
            raise InvalidInput(
                "EditRefused", "only the arguments of a tool call can be changed", "leave them out"
            )
        rules = self._chart.guard_rules(view.tenant, agent.key)
        masked = (await self._masker.mask_json(view.tenant, view.session_id, arguments, rules)).value
        if not isinstance(masked, dict):
            raise InvalidInput("EditRefused", "arguments are an object", "send a JSON object")
        delivered = await self._delivered(view, masked, tool)
        problems = check_arguments(tool.input_schema, delivered)
        if problems:
            raise InvalidInput("SchemaMismatch", "; ".join(problems)[:1000], "see the tool's schema")
        decision = judge(live, agent, tool, delivered, masked)
        if decision.effect is Effect.DENY:
            raise Denied(decision.reason, decision.message, "choose others", decision.rules)
        if not within(decision, view):
            raise InvalidInput(
                "EditRefused", "these arguments need others to agree", "deny, and have it asked anew"
            )
        return Edit(masked, arguments_hash(delivered))

    async def _delivered(
        self, view: ApprovalView, masked: type_json, tool: EffectiveTool
    ) -> Mapping[str, object]:
        tokens = token_candidates(masked)
        if not tokens or not tool.clearance:
            return masked
        actor = system_actor(view.tenant, "approvals")
        values = await self._pseudonyms.restore(actor, view.session_id, tokens, tool.clearance)
        restored = restore_json(masked, values)  # type: ignore[arg-type]
        return restored if isinstance(restored, Mapping) else masked


def judge(
    live: LiveChart,
    agent: EffectiveAgent,
    tool: EffectiveTool,
    delivered: Mapping[str, object],
    masked: type_json,
) -> Decision:
    """What policy says about a call with these arguments."""
    request = PolicyRequest(
        subject=agent.key,
        subject_node=agent.node,
        action="CallTool",
        resource=ToolResource(server=tool.server, tool=tool.tool, effects=tool.effects),
        args=delivered,
        args_schema=tool.input_schema,
        data_classes=classes_in(masked, agent.guard.entity_classes),
    )
    return evaluate(live.program, request)


def within(decision: Decision, view: ApprovalView) -> bool:
    """Whether no rule asks for an approval besides those that were answered."""
    return {rule for rule, _ in decision.approvals} <= set(view.rules)
