"""Tokens for values and values for tokens, within the agent's clearance."""

from cadre_api.protocol.guard import IssueRequest, IssueResponse, RestoreRequest, RestoreResponse
from cadre_controller.errors import Denied
from cadre_controller.routes.guard.caller import I, caller
from cadre_controller.routes.table import Answer, Call, Scope, Table

TABLE = Table(Scope.GUARD)


@TABLE.post("/guard/v1/pseudonyms/issue", IssueRequest, IssueResponse, max_body=32 * 1024 * 1024)
async def issue(call: Call[IssueRequest]) -> Answer:
    """Tokens for values that the guard found, granted to the session."""
    await _own_session(call, call.input.session_id)
    tokens = await call.runtime.services.pseudonyms.issue(
        caller(call).actor, call.input.session_id, call.input.items
    )
    return IssueResponse(tokens=tokens)


@TABLE.post("/guard/v1/pseudonyms/restore", RestoreRequest, RestoreResponse)
async def restore(call: Call[RestoreRequest]) -> Answer:
    """Values for tokens granted to the session; what is not permitted is absent."""
    await _own_session(call, call.input.session_id)
    identity = caller(call)
    agent = call.runtime.services.chart.current(identity.tenant).snapshot.agents.get(identity.agent)
    if agent is None or agent.lifecycle != "Running":
        raise Denied(
            "AgentNotRunning", f"agent {identity.agent} is not running in the chart", "add or resume it"
        )
    values = await call.runtime.services.pseudonyms.restore(
        identity.actor, call.input.session_id, call.input.tokens, agent.guard.clearance
    )
    return RestoreResponse(values=values)


async def _own_session(call: Call[I], session_id: str) -> None:
    """An agent touches the tokens of sessions it takes part in, and no others."""
    identity = caller(call)
    session = await call.runtime.services.sessions.get(identity.tenant, session_id)
    if identity.actor.id not in session.participants:
        raise Denied(
            "WrongSession", "the agent takes no part in this session", "send the session of the lease"
        )
