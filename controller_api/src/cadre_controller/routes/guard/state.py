"""State for agents, through their guards: masked; who reads it in a session knows the tokens there."""

from cadre_api.protocol.state import StateGet, StateList, StatePage, StatePut, StateView, StateWatch
from cadre_controller.routes.guard.caller import caller
from cadre_controller.routes.table import Answer, Call, Scope, Table

TABLE = Table(Scope.GUARD)
_MAX_BODY = 512 * 1024


@TABLE.get("/guard/v1/state", StateList, StatePage)
async def keys(call: Call[StateList]) -> Answer:
    """The keys of a scope with their values."""
    return await call.runtime.services.state.list(caller(call).actor, call.input)


@TABLE.get("/guard/v1/state/entry", StateGet, StateView)
async def entry(call: Call[StateGet]) -> Answer:
    """One key."""
    return await call.runtime.services.state.get(caller(call).actor, call.input)


@TABLE.post("/guard/v1/state/entry", StatePut, StateView, method="PUT", max_body=_MAX_BODY)
async def put(call: Call[StatePut]) -> Answer:
    """Write or remove a key, if it has the version named."""
    return await call.runtime.services.state.put(caller(call).actor, call.input)


@TABLE.get("/guard/v1/state/history", StateGet, StatePage)
async def history(call: Call[StateGet]) -> Answer:
    """The last versions of a key, newest first."""
    return await call.runtime.services.state.history(caller(call).actor, call.input)


@TABLE.get("/guard/v1/state/watch", StateWatch, StatePage)
async def watch(call: Call[StateWatch]) -> Answer:
    """Long poll: what changed in a scope."""
    waiting = call.runtime.services.state.watch(caller(call).actor, call.input)
    return await call.runtime.unless_stopping(waiting)
