"""What a guard may ask about tools: would this call be permitted, and: make it."""

from dataclasses import replace

from cadre_api.protocol.base import Effect
from cadre_api.protocol.guard import ToolCallResponse, ToolDecisionRequest
from cadre_api.protocol.tasks import Evaluation
from cadre_controller.errors import CadreError
from cadre_controller.gateways.tools.decide import DecidedCall, ToolDecider
from cadre_controller.gateways.tools.execute import Executed, Executor
from cadre_controller.gateways.tools.mcp import McpError
from cadre_controller.gateways.tools.mesh import MeshTools
from cadre_controller.gateways.tools.results import error_result, masked
from cadre_controller.gateways.tools.servers import ToolServers
from cadre_controller.metrics import Metrics
from cadre_controller.ports import AgentIdentity, Clock
from cadre_controller.refusals import UpstreamFailed
from cadre_controller.services.assembly import Services
from cadre_controller.services.models import ToolResult
from cadre_controller.telemetry import Tracing
from cadre_core.mesh import GUARD, MESH
from cadre_core.model import EffectiveTool, ToolServerSpec


class ToolGateway:
    """Decides twice: once when the agent asks for permission, and again when the call is made."""

    def __init__(
        self,
        services: Services,
        servers: ToolServers,
        mesh: MeshTools,
        metrics: Metrics,
        tracing: Tracing,
        clock: Clock,
    ) -> None:
        self._services = services
        self._servers = servers
        self._mesh = mesh
        self._metrics = metrics
        self._tracing = tracing
        self._clock = clock
        self._decider = ToolDecider(services)
        self._executor = Executor(services, servers)

    async def decide(self, identity: AgentIdentity, request: ToolDecisionRequest) -> Evaluation:
        """The early gate: nothing is executed. Raises LeaseLost and other refusals."""
        return (await self._decided(identity, request)).evaluation

    async def call(self, identity: AgentIdentity, request: ToolDecisionRequest) -> ToolCallResponse:
        """Decide again and, when permitted, make the call. Raises LeaseLost, UpstreamFailed and other
        refusals.
        """
        call = await self._decided(identity, request)
        if call.evaluation.effect is not Effect.ALLOW or call.tool is None:
            return ToolCallResponse(evaluation=call.evaluation)
        await self._require_pins(call)
        started = self._clock.monotonic()
        with self._tracing.tool_call(call.held, call.target):
            executed = await self._run(identity, call, call.tool)
        milliseconds = (self._clock.monotonic() - started) * 1000
        await self._note_call(identity, call, executed, milliseconds)
        if executed.result is None:
            return ToolCallResponse(evaluation=executed.unknown or call.evaluation)
        return _response(call, executed.result, executed.replayed)

    async def _decided(self, identity: AgentIdentity, request: ToolDecisionRequest) -> DecidedCall:
        call = await self._decider.decide(identity, request)
        degraded = await self._degraded(call)
        if degraded:
            evaluation = Evaluation(effect=Effect.DENY, reason="SchemaChanged", message=degraded)
            call = _with_evaluation(call, evaluation)
        await self._use_approval(call)
        await self._note_decision(identity, call)
        return call

    async def _use_approval(self, call: DecidedCall) -> None:
        """One yes is for one call, also of a tool that the guard runs once it was told that it may."""
        if call.tool is None or call.tool.server != GUARD or not call.ordinal:
            return
        if call.evaluation.effect is Effect.ALLOW:
            name = (call.target, call.arguments_hash, call.request.tool_call_id)
            await self._services.intents.use(call.held, *name, call.ordinal)

    async def _degraded(self, call: DecidedCall) -> str:
        """Why the server must not be used; an unreachable one is left to the call itself."""
        spec = _spec(call)
        if spec is None or call.evaluation.effect is Effect.DENY:
            return ""
        try:
            return await self._servers.degraded(call.held.tenant, spec)
        except McpError:
            return ""

    async def _require_pins(self, call: DecidedCall) -> None:
        """Nothing is sent to a server that does not show what it offers. Raises UpstreamFailed."""
        spec = _spec(call)
        if spec is None:
            return
        try:
            await self._servers.degraded(call.held.tenant, spec)
        except McpError as error:
            fix = "look at the tool server, then ask again"
            raise UpstreamFailed(
                error.reason, f"the server does not show its tools: {error.reason}", fix
            ) from error

    async def _run(self, identity: AgentIdentity, call: DecidedCall, tool: EffectiveTool) -> Executed:
        rules = self._services.chart.guard_rules(call.held.tenant, call.agent.key)
        if tool.server == MESH:
            raw, replayed = await self._mesh.run(identity, call, tool)
            return Executed(await masked(self._services.masker, call.held, raw, rules), replayed)
        if tool.server == GUARD:
            raw = error_result("NotHere: the agent's guard runs this tool itself")
            return Executed(await masked(self._services.masker, call.held, raw, rules))
        spec = _spec(call)
        if spec is None:
            raise CadreError(
                "ToolServerMissing", f"the chart has no tool server {tool.server}", "add the ToolServer"
            )
        return await self._executor.run(call, tool, spec, rules)

    async def _note_decision(self, identity: AgentIdentity, call: DecidedCall) -> None:
        evaluation = call.evaluation
        data: dict[str, object] = {
            "tool": call.target,
            "effect": evaluation.effect.value,
            "reason": evaluation.reason,
            "rules": list(evaluation.rules),
            "argumentsHash": call.arguments_hash,
            "editedHash": call.edited_hash,
            "approvalId": evaluation.approval_id,
            "toolCallId": call.request.tool_call_id,
        }
        held = call.held
        await self._services.tasks.add_event(
            held.tenant, held.id, "Decided", f"{call.target}: {evaluation.reason}", data
        )
        if evaluation.effect is not Effect.ALLOW:
            self._metrics.tool_calls.labels(call.tool.server if call.tool else "", evaluation.reason).inc()
        await self._services.audit.append(
            identity.actor,
            "tool.decide",
            call.target,
            evaluation.effect.value,
            data=data,
            trace_id=held.trace_id,
        )

    async def _note_call(
        self, identity: AgentIdentity, call: DecidedCall, executed: Executed, milliseconds: float
    ) -> None:
        held = call.held
        outcome = _outcome(executed)
        data: dict[str, object] = {
            "tool": call.target,
            "result": outcome,
            "replayed": executed.replayed,
            "argumentsHash": call.arguments_hash,
            "editedHash": call.edited_hash,
            "toolCallId": call.request.tool_call_id,
        }
        server = call.tool.server if call.tool else ""
        self._metrics.tool_calls.labels(server, outcome).inc()
        self._metrics.tool_seconds.labels(server).observe(milliseconds / 1000)
        await self._services.tasks.add_event(
            held.tenant, held.id, "ToolReturned", f"{call.target}: {outcome}", data, milliseconds
        )
        await self._services.audit.append(
            identity.actor, "tool.call", call.target, outcome, data=data, trace_id=held.trace_id
        )


def _spec(call: DecidedCall) -> ToolServerSpec | None:
    return call.chart.snapshot.tool_servers.get(call.tool.server) if call.tool else None


def _with_evaluation(call: DecidedCall, evaluation: Evaluation) -> DecidedCall:
    return replace(call, evaluation=evaluation)


def _outcome(executed: Executed) -> str:
    if executed.result is None:
        return "unknown"
    return "error" if executed.result.is_error else "ok"


def _response(call: DecidedCall, result: ToolResult, replayed: bool) -> ToolCallResponse:
    told = ({"type": "text", "text": call.evaluation.message},) if call.edited_hash else ()
    return ToolCallResponse(
        evaluation=call.evaluation,
        content=(*told, *result.content),
        structured_content=result.structured_content,
        is_error=result.is_error,
        replayed=replayed,
    )
