"""Sessions: who shares which parts of a context, and how it is handed on."""

from cadre_controller.errors import NotFound
from cadre_controller.routes.models import Handoff, SessionBody, SessionCreate, ShardBody
from cadre_controller.routes.public.reader import Reader, reader
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table
from cadre_controller.services.models import SessionView, Shard

TABLE = Table(Scope.PERSON)
_PERSON = "person:"


@TABLE.post("/api/v1/sessions", SessionCreate, SessionBody, status=201)
async def create(call: Call[SessionCreate]) -> Answer:
    """Open a session; its scope becomes the first shard."""
    who, sessions = reader(call), call.runtime.services.sessions
    participants = [_party(who, name) for name in call.input.participants]
    view = await sessions.create(who.actor, participants)
    if call.input.scope:
        await sessions.add_shard(who.actor, view.id, call.input.scope)
        view = await sessions.get(who.actor.tenant, view.id)
    return await session_body(who, view)


@TABLE.get("/api/v1/sessions/{id}", Nothing, SessionBody)
async def get(call: Call[Nothing]) -> Answer:
    """A session with its shards, restored for the reader."""
    who = reader(call)
    return await session_body(who, await who.session(call.path("id")))


@TABLE.post("/api/v1/sessions/{id}/handoff", Handoff, SessionBody, method="PATCH")
async def handoff(call: Call[Handoff]) -> Answer:
    """Hand the session on: a new session for the receiver, with tokens re-issued within its clearance."""
    who = reader(call)
    view = await who.session(call.path("id"))
    to = _party(who, call.input.to)
    handed = await call.runtime.services.sessions.handoff(who.actor, view.id, to, call.input.shard_ids)
    return await session_body(who, handed)


async def session_body(who: Reader, view: SessionView) -> SessionBody:
    """A session as the person may read it; raises NotFound when it is not theirs to see."""
    if not who.sees_session(view):
        raise NotFound("NoSession", f"there is no session {view.id} that you may see")
    return SessionBody(
        id=view.id,
        tenant=view.tenant,
        state=view.state,
        created_by=view.created_by,
        created_at=view.created_at,
        parent_session_id=view.parent_session_id,
        participants=view.participants,
        shards=tuple([await _shard(who, shard) for shard in view.shards]),
        tasks=view.tasks,
    )


async def _shard(who: Reader, shard: Shard) -> ShardBody:
    return ShardBody(
        id=shard.id,
        author=shard.author,
        data_class=shard.data_class,
        text=await who.restored_text(shard.session_id, shard.text),
        created_at=shard.created_at,
    )


def _party(who: Reader, name: str) -> str:
    """`agent:<key>` or the opaque `person:<id>` of a participant named by chart key; raises NotFound."""
    directory, tenant = who.runtime.services.directory, who.actor.tenant
    if name.startswith(_PERSON):
        return directory.person_actor(tenant, name.removeprefix(_PERSON)).id
    return f"agent:{directory.agent_key(tenant, name.removeprefix('agent:'))}"
