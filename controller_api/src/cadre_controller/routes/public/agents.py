"""Single agents as documents: read, written, scaled, removed, with ETags against lost updates.

Only where this controller keeps the chart. On a cluster the chart is made of Kubernetes objects, which are
written by way of the API server and its admission, so that git and kubectl stay the source.
"""

from aiohttp import web

from cadre_api.protocol.base import type_json
from cadre_controller.errors import Conflict
from cadre_controller.ports import Actor
from cadre_controller.routes.agent_models import AgentCreate, AgentDocument, AgentScale, AgentWrite
from cadre_controller.routes.conditional import etag_of, require_match
from cadre_controller.routes.public.reader import I, reader, writer
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table
from cadre_controller.services.agent_edits import Check, Edited

TABLE = Table(Scope.PERSON)


@TABLE.get("/api/v1/agents/{id}", Nothing, AgentDocument)
async def get(call: Call[Nothing]) -> Answer:
    """One agent as applied, by `namespace/name` or bare name; its ETag is what If-Match takes."""
    tenant = reader(call).actor.tenant
    key = call.runtime.services.directory.agent_key(tenant, call.path("id"))
    return _shown(call.runtime.services.agent_edits.get(tenant, key))


@TABLE.post("/api/v1/agents", AgentCreate, AgentDocument, status=201)
async def create(call: Call[AgentCreate]) -> Answer:
    """Add an agent to the chart; 409 AgentExists when there is one of that name."""
    actor, given = _writer(call), call.input
    edits, key = call.runtime.services.agent_edits, f"{given.namespace}/{given.name}"
    done = await edits.put(actor, key, given.spec, _must_be_new(key), dry_run=call.flag("dryRun"))
    return await _written(call, done)


@TABLE.post("/api/v1/agents/{id}", AgentWrite, AgentDocument, method="PUT")
async def put(call: Call[AgentWrite]) -> Answer:
    """Give an agent this spec (`?dryRun=true`: only check); 422 ChartInvalid lists every problem."""
    actor = _writer(call)
    edits, key = call.runtime.services.agent_edits, _key(call, actor)
    done = await edits.put(actor, key, call.input.spec, _as_seen(call), dry_run=call.flag("dryRun"))
    return await _written(call, done)


@TABLE.post("/api/v1/agents/{id}", Nothing, None, method="DELETE", status=204)
async def remove(call: Call[Nothing]) -> Answer:
    """Take an agent out of the chart; what it has open is ended as by an apply without it."""
    actor = _writer(call)
    key = call.runtime.services.directory.agent_key(actor.tenant, call.path("id"))
    edits = call.runtime.services.agent_edits
    done = await edits.remove(actor, key, _as_seen(call), dry_run=call.flag("dryRun"))
    if not call.flag("dryRun"):
        await call.runtime.services.freezes.declare_chart(done.tenant)
    return None


@TABLE.post("/api/v1/agents/{id}/scale", AgentScale, AgentDocument)
async def scale(call: Call[AgentScale]) -> Answer:
    """So many replicas at most."""
    actor = _writer(call)
    key = call.runtime.services.directory.agent_key(actor.tenant, call.path("id"))
    edits = call.runtime.services.agent_edits
    return await _written(call, await edits.scale(actor, key, call.input.replicas, _as_seen(call)))


def _writer(call: Call[I]) -> Actor:
    """The administrator, where charts are kept here. Raises Denied(AdminOnly), Conflict(ManagedByCluster)."""
    actor = writer(call)
    if call.runtime.settings.cluster_account is not None:
        raise Conflict(
            "ManagedByCluster",
            "on a cluster an agent is an object of Kubernetes",
            "kubectl apply, edit or scale it there, or commit it where GitOps takes it from",
        )
    return actor if actor.tenant else reader(call).actor


def _key(call: Call[I], actor: Actor) -> str:
    """An agent that exists by key or bare name; another one only by its whole key."""
    given = call.path("id")
    return given if "/" in given else call.runtime.services.directory.agent_key(actor.tenant, given)


def _as_seen(call: Call[I]) -> Check:
    def check(document: type_json | None) -> None:
        text = None if document is None else _shown(document).model_dump_json(by_alias=True)
        require_match(call.request, text)

    return check


def _must_be_new(key: str) -> Check:
    def check(document: type_json | None) -> None:
        if document is not None:
            raise Conflict("AgentExists", f"there is an agent {key}", "PUT changes it")

    return check


async def _written(call: Call[I], done: Edited) -> Answer:
    if not call.flag("dryRun"):
        await call.runtime.services.freezes.declare_chart(done.result.tenant)
    text = _shown(done.document).model_dump_json(by_alias=True)
    status = 201 if done.created and not call.flag("dryRun") else 200
    headers = {"ETag": etag_of(text)}
    return web.Response(text=text, status=status, headers=headers, content_type="application/json")


def _shown(document: type_json) -> AgentDocument:
    return AgentDocument(document=document)
