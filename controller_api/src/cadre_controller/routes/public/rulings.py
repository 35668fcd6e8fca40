"""What a person rules about findings of the guards: a release, an addition, their end."""

from cadre_api.protocol.rulings import RulingCreate, RulingPage, RulingView
from cadre_controller.routes.public.reader import reader
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table

TABLE = Table(Scope.PERSON)


@TABLE.post("/api/v1/guard/rulings", RulingCreate, RulingView, status=201, max_body=16 * 1024)
async def rule(call: Call[RulingCreate]) -> Answer:
    """Release a value from a type of finding, or add one, for a place of the chart and a time."""
    return await call.runtime.services.rulings.rule(reader(call).actor, call.input)


@TABLE.get("/api/v1/guard/rulings", Nothing, RulingPage)
async def rulings(call: Call[Nothing]) -> Answer:
    """Rulings in force that the caller may take back; values within their clearance."""
    return RulingPage(items=call.runtime.services.rulings.views(reader(call).actor))


@TABLE.post("/api/v1/guard/rulings/{id}", Nothing, RulingView, method="DELETE")
async def revoke(call: Call[Nothing]) -> Answer:
    """Take a ruling back; the guards follow at once."""
    return await call.runtime.services.rulings.revoke(reader(call).actor, call.path("id"))
