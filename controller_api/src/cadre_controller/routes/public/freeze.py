"""Stop and go: whoever stands above an agent freezes and thaws it."""

from cadre_api.protocol.base import Message
from cadre_api.protocol.freeze import DeclaredFreezes, FreezeCreate, FreezePage, FreezeView, ThawCreate
from cadre_controller.routes.public.reader import reader, writer
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table

TABLE = Table(Scope.PERSON)
_MAX_DECLARED = 16 * 1024 * 1024


class Declared(Message):
    """How many objects are frozen by their own spec."""

    frozen: int


@TABLE.post("/api/v1/freeze", FreezeCreate, FreezeView, max_body=16 * 1024)
async def freeze(call: Call[FreezeCreate]) -> Answer:
    """Stop a tenant, a node with all below it, or an agent, within two seconds."""
    return await call.runtime.services.freezes.freeze(reader(call).actor, call.input)


@TABLE.post("/api/v1/thaw", ThawCreate, FreezeView, max_body=16 * 1024)
async def thaw(call: Call[ThawCreate]) -> Answer:
    """Take a freeze back; answers with what was frozen."""
    return await call.runtime.services.freezes.thaw(reader(call).actor, call.input)


@TABLE.get("/api/v1/freezes", Nothing, FreezePage)
async def freezes(call: Call[Nothing]) -> Answer:
    """All freezes in force: everyone may know why an agent does not answer."""
    return FreezePage(items=call.runtime.services.freezes.views(reader(call).actor.tenant))


@TABLE.post("/api/v1/freeze/declared", DeclaredFreezes, Declared, max_body=_MAX_DECLARED)
async def declared(call: Call[DeclaredFreezes]) -> Answer:
    """Take over what the objects of the tenant say in `spec.freeze`; administrators and the operator only."""
    await call.runtime.services.freezes.declare(writer(call), call.input.items)
    return Declared(frozen=len(call.input.items))
