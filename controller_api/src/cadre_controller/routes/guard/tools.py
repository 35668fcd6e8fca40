"""Tool calls: permission, execution, and the wait for a human."""

from pydantic import Field

from cadre_api.protocol.base import Message
from cadre_api.protocol.guard import ApprovalWait, ToolCallRequest, ToolCallResponse, ToolDecisionRequest
from cadre_api.protocol.tasks import Evaluation
from cadre_controller.errors import NotFound
from cadre_controller.routes.guard.caller import LONGEST_WAIT, caller, traceparent
from cadre_controller.routes.table import Answer, Call, Scope, Table

TABLE = Table(Scope.GUARD)


class WaitQuery(Message):
    """How many seconds to wait for a decision."""

    wait: float = Field(default=25, ge=0, le=LONGEST_WAIT)


@TABLE.post("/guard/v1/tools/decide", ToolDecisionRequest, Evaluation, max_body=8 * 1024 * 1024)
async def decide(call: Call[ToolDecisionRequest]) -> Answer:
    """Would this tool call be permitted? Creates the approval it needs; executes nothing."""
    identity = caller(call)
    with call.runtime.tracing.served("tools/decide", identity.tenant, traceparent(call)):
        return await call.runtime.tools.decide(identity, call.input)


@TABLE.post("/guard/v1/tools/call", ToolCallRequest, ToolCallResponse, max_body=8 * 1024 * 1024)
async def execute(call: Call[ToolCallRequest]) -> Answer:
    """Decide again and make the call once."""
    identity = caller(call)
    with call.runtime.tracing.served("tools/call", identity.tenant, traceparent(call)):
        return await call.runtime.tools.call(identity, call.input)


@TABLE.get("/guard/v1/approvals/{id}", WaitQuery, ApprovalWait)
async def approval(call: Call[WaitQuery]) -> Answer:
    """Long poll for the decision of an approval that this agent asked for."""
    identity, approvals = caller(call), call.runtime.services.approvals
    view = await approvals.get(identity.tenant, call.path("id"))
    if view.agent != identity.agent:
        raise NotFound("NoApproval", f"there is no approval {call.path('id')} of this agent")
    return await call.runtime.unless_stopping(approvals.wait(identity.tenant, view.id, call.input.wait))
