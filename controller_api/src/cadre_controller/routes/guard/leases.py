"""Work: claimed, kept alive, finished."""

from cadre_api.protocol.guard import (
    ClaimRequest,
    ClaimResponse,
    Completion,
    Heartbeat,
    HeartbeatResponse,
)
from cadre_controller.routes.guard.caller import LONGEST_WAIT, caller, hears
from cadre_controller.routes.table import Answer, Call, Scope, Table

TABLE = Table(Scope.GUARD)


@TABLE.post("/guard/v1/claims", ClaimRequest, ClaimResponse, max_body=16 * 1024)
async def claim(call: Call[ClaimRequest]) -> Answer:
    """Long poll for work; a controller that stops hands out nothing more."""
    asked, leases = call.input, call.runtime.services.leases
    seconds = min(asked.wait_seconds, LONGEST_WAIT)
    return await leases.claim(caller(call), asked.capacity, seconds, asked.messages, lambda: hears(call))


@TABLE.post("/guard/v1/leases/{taskId}/heartbeat", Heartbeat, HeartbeatResponse, max_body=16 * 1024)
async def heartbeat(call: Call[Heartbeat]) -> Answer:
    """Keep a lease alive; 409 LeaseLost when it is no longer this guard's."""
    return await call.runtime.services.leases.heartbeat(caller(call), call.path("taskId"), call.input.fence)


@TABLE.post("/guard/v1/leases/{taskId}/complete", Completion, None, status=204, max_body=8 * 1024 * 1024)
async def complete(call: Call[Completion]) -> Answer:
    """The task is done; repeating it with the same fence changes nothing."""
    await call.runtime.services.leases.complete(caller(call), call.path("taskId"), call.input)
    return None


@TABLE.post("/guard/v1/leases/{taskId}/fail", Completion, None, status=204, max_body=8 * 1024 * 1024)
async def fail(call: Call[Completion]) -> Answer:
    """The attempt failed; the controller decides whether the task runs again."""
    await call.runtime.services.leases.fail(caller(call), call.path("taskId"), call.input)
    return None
