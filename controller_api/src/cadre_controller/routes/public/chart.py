"""The chart: applied whole or not at all, compared, read back."""

from collections.abc import Iterable

from cadre_api.protocol.base import type_json
from cadre_api.v1alpha1.common import ObjectMeta
from cadre_controller.errors import Denied
from cadre_controller.middlewares import field_problem
from cadre_controller.ports import Actor
from cadre_controller.routes.models import (
    AgentBody,
    AgentPage,
    Applied,
    ChangeView,
    Documents,
    LiveBody,
    ObjectPage,
    Planned,
)
from cadre_controller.routes.public.reader import reader, writer
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table
from cadre_controller.services.models import AgentRow, LiveAgent
from cadre_core.plan import AgentChange

TABLE = Table(Scope.PERSON)
_MAX_CHART = 32 * 1024 * 1024
_ADMINISTRATORS = frozenset({"ModelProvider", "ToolServer"})
"""Kinds that hold addresses and settings of other systems."""


@TABLE.post("/api/v1/apply", Documents, Applied, max_body=_MAX_CHART)
async def apply(call: Call[Documents]) -> Answer:
    """Put a chart in force (`?dryRun=true`: only check); 422 ChartInvalid lists every problem."""
    actor, services, dry_run = writer(call), call.runtime.services, call.flag("dryRun")
    result = await services.chart.apply(call.input.pairs(), actor, dry_run=dry_run)
    if not dry_run and not call.input.freezes_apart:
        await services.freezes.declare_chart(result.tenant)
    return Applied(
        tenant=result.tenant,
        revision=result.revision,
        agents=result.agents,
        changed=result.changed,
        changes=_changes(result.changes),
        problems=tuple(map(field_problem, result.problems)),
    )


@TABLE.post("/api/v1/plan", Documents, Planned, max_body=_MAX_CHART)
async def plan(call: Call[Documents]) -> Answer:
    """What a chart would change for every agent; nothing is applied."""
    writer(call)
    result = await call.runtime.services.chart.plan(call.input.pairs())
    return Planned(agents=_changes(result.changes), problems=tuple(map(field_problem, result.problems)))


@TABLE.get("/api/v1/agents", Nothing, AgentPage)
async def agents(call: Call[Nothing]) -> Answer:
    """All agents with their live state."""
    rows = await call.runtime.services.directory.agents(reader(call).actor.tenant)
    return AgentPage(items=tuple(map(_agent, rows)))


@TABLE.get("/api/v1/resources/{kind}", Nothing, ObjectPage)
async def resources(call: Call[Nothing]) -> Answer:
    """Documents of one kind as applied. A person reads only the own Person, and no administrators' kinds."""
    actor = reader(call).actor
    items = call.runtime.services.directory.resources(actor.tenant, call.path("kind"))
    return ObjectPage(items=items if actor.is_admin else tuple(i for i in items if _readable(actor, i)))


def _readable(actor: Actor, document: type_json) -> bool:
    """Whether a person may read this document; raises Denied for kinds that are the administrators'."""
    if document["kind"] in _ADMINISTRATORS:
        raise Denied("AdminsOnly", "providers and tool servers are read by tenant admins only")
    metadata = ObjectMeta.model_validate(document["metadata"])
    return document["kind"] != "Person" or actor.person == f"{metadata.namespace}/{metadata.name}"


def _changes(changes: Iterable[AgentChange]) -> tuple[ChangeView, ...]:
    return tuple(ChangeView(agent=c.agent, change=str(c.change), diff=tuple(c.lines)) for c in changes)


def _agent(row: AgentRow) -> AgentBody:
    return AgentBody(
        key=row.key,
        node=row.node,
        profile=row.profile,
        title=row.title,
        purpose=row.purpose,
        owner=row.owner,
        lifecycle=row.lifecycle,
        live=_live(row.live, row.frozen) if row.live else None,
        frozen=row.frozen,
        queued=row.queued,
    )


def _live(live: LiveAgent, frozen: str) -> LiveBody:
    return LiveBody(
        instance=live.instance,
        state="Frozen" if frozen else live.state,
        agent_version=live.agent_version,
        boundary=dict(live.boundary),
        bundle_generation=live.bundle_generation,
        reason=live.reason,
        seen_at=live.seen_at,
        queued=live.queued,
        running=live.running,
    )
