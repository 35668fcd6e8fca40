"""Runs a permitted call at its server, once: what is certain is recorded, what is not is said to be
unknown.
"""

import asyncio
from dataclasses import dataclass

from cadre_api.protocol.base import Effect
from cadre_api.protocol.guard import GuardRules
from cadre_api.protocol.tasks import Evaluation
from cadre_controller.errors import Denied
from cadre_controller.gateways.tools.decide import DecidedCall
from cadre_controller.gateways.tools.mcp import McpError
from cadre_controller.gateways.tools.mcp import ToolResult as RawResult
from cadre_controller.gateways.tools.results import bounded, error_result, masked
from cadre_controller.gateways.tools.servers import ToolServers
from cadre_controller.refusals import UpstreamFailed
from cadre_controller.services.assembly import Services
from cadre_controller.services.models import Intent, IntentKind, ToolResult
from cadre_core.model import EffectiveTool, ToolServerSpec

_JOIN_SECONDS = 120.0
_TRIES = 3
_PAUSE = 0.3


@dataclass(frozen=True, slots=True)
class Executed:
    """How a call ended: with a result, or with a question to a person."""

    result: ToolResult | None
    replayed: bool = False
    unknown: Evaluation | None = None


class Executor:
    """Intent, server, mask, record."""

    def __init__(self, services: Services, servers: ToolServers) -> None:
        self._services = services
        self._servers = servers

    async def run(
        self, call: DecidedCall, tool: EffectiveTool, spec: ToolServerSpec, rules: GuardRules
    ) -> Executed:
        """Run or replay; raises UpstreamFailed when the call certainly had no effect and may be repeated."""
        intent = await self._services.intents.begin(
            call.held, call.target, call.arguments_hash, call.request.tool_call_id, call.ordinal
        )
        match intent.kind:
            case IntentKind.RECORDED:
                return Executed(intent.result, replayed=True)
            case IntentKind.IN_FLIGHT:
                return await self._join(intent)
            case IntentKind.CUT if not repeatable(tool):
                return await self._unknown(call, intent)
            case IntentKind.NEW | IntentKind.CUT:
                return await self._execute(call, tool, spec, rules, intent)

    async def _join(self, intent: Intent) -> Executed:
        result = await self._services.intents.wait(intent, _JOIN_SECONDS)
        if result is None:
            raise UpstreamFailed("ToolCallRunning", "the same call is still running", "ask again")
        return Executed(result, replayed=True)

    async def _execute(
        self, call: DecidedCall, tool: EffectiveTool, spec: ToolServerSpec, rules: GuardRules, intent: Intent
    ) -> Executed:
        intents = self._services.intents
        try:
            raw = await self._attempts(call, tool, spec, intent)
            result = await masked(self._services.masker, call.held, bounded(raw), rules)
            await intents.record(intent, result)
        except McpError as error:
            if error.sent and not repeatable(tool):
                return await self._unknown(call, intent)
            if error.sent:
                intents.leave(intent)
            else:
                await intents.abandon(intent)
            fix = "look at the tool server, then ask again"
            raise UpstreamFailed(error.reason, error.message, fix) from error
        except Denied:
            await intents.abandon(intent)
            raise
        except BaseException:
            intents.leave(intent)
            raise
        return Executed(result)

    async def _attempts(
        self, call: DecidedCall, tool: EffectiveTool, spec: ToolServerSpec, intent: Intent
    ) -> RawResult:
        """One call, or more where repeating it does no harm; an answer of any kind ends it."""
        client = await self._servers.client(call.held.tenant, spec)
        cadre = {"idempotencyKey": intent.idempotency_key, "taskId": call.held.id}
        meta: dict[str, object] = {"cadre": cadre, "traceparent": call.held.traceparent}
        for tried in range(1, _TRIES + 1):
            try:
                return await client.call_tool(tool.tool, call.arguments, meta, spec.timeout_seconds)
            except McpError as error:
                if error.reason in ("ToolServerRefused", "ToolNeedsInput"):
                    return error_result(error.message)
                if tried == _TRIES or (error.sent and not repeatable(tool)):
                    raise
            await asyncio.sleep(_PAUSE * 2**tried)
        raise AssertionError("unreachable: the last try raises")

    async def _unknown(self, call: DecidedCall, intent: Intent) -> Executed:
        approval = await self._services.intents.outcome_unknown(call.held, intent)
        message = "the call was cut in the middle and may or may not have had its effect; a person decides"
        evaluation = Evaluation(
            effect=Effect.REQUIRE_APPROVAL, reason="OutcomeUnknown", message=message, approval_id=approval.id
        )
        return Executed(None, unknown=evaluation)


def repeatable(tool: EffectiveTool) -> bool:
    """Whether running a call twice does no more than running it once."""
    return tool.idempotent or tool.effects == "ReadOnly"
