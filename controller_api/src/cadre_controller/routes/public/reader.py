"""The person behind a request, and texts as this person may read them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from cadre_api.protocol.base import ActorType, Message
from cadre_api.protocol.tasks import ApprovalView, TaskView
from cadre_controller.auth.identity import PersonIdentity
from cadre_controller.auth.visibility import answers_for, sees_approval, sees_task
from cadre_controller.errors import Denied, NotFound
from cadre_controller.ports import Actor
from cadre_controller.refusals import BadRequest, Unauthorized
from cadre_controller.routes.table import Call
from cadre_controller.runtime import Runtime
from cadre_controller.services.models import LiveChart, SessionView
from cadre_controller.telemetry import current_trace_id
from cadre_controller.tokens_in import token_candidates
from cadre_detect import restore_json

M = TypeVar("M", bound=Message)
I = TypeVar("I", bound=Message)  # noqa: E741
_MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Reader:
    """A person with the chart in force."""

    runtime: Runtime
    actor: Actor
    chart: LiveChart

    async def restored(self, session_id: str, message: M) -> M:
        """The message with its tokens restored within the person's clearance."""
        document = message.model_dump(mode="json", by_alias=True)
        values = await self._values(session_id, document)
        return message if not values else type(message).model_validate(restore_json(document, values))

    async def restored_text(self, session_id: str, text: str) -> str:
        """The same for one text."""
        values = await self._values(session_id, text)
        restored = restore_json(text, values) if values else text
        return restored if isinstance(restored, str) else text

    async def task(self, task_id: str) -> TaskView:
        """A task that the person may see, masked; raises NotFound for all others."""
        tasks = self.runtime.services.tasks
        view = await tasks.get(self.actor.tenant, task_id)
        above = view
        for _ in range(_MAX_DEPTH):
            if sees_task(self.chart.snapshot, self.actor, above):
                return view
            if not above.parent_task_id:
                break
            above = await tasks.get(self.actor.tenant, above.parent_task_id)
        raise NotFound("NoTask", f"there is no task {task_id} that you may see")

    async def tasks(self, views: Iterable[TaskView]) -> tuple[TaskView, ...]:
        """Those that the person may see, restored."""
        seen = [view for view in views if sees_task(self.chart.snapshot, self.actor, view)]
        return tuple([await self.restored(view.session_id, view) for view in seen])

    async def approval(self, approval_id: str) -> ApprovalView:
        """An approval that the person may see, masked; raises NotFound for all others."""
        view = await self.runtime.services.approvals.get(self.actor.tenant, approval_id)
        if not sees_approval(self.chart.snapshot, self.actor, view):
            raise NotFound("NoApproval", f"there is no approval {approval_id} that you may see")
        return view

    async def session(self, session_id: str) -> SessionView:
        """A session that the person may see, masked; raises NotFound for all others."""
        view = await self.runtime.services.sessions.get(self.actor.tenant, session_id)
        if not self.sees_session(view):
            raise NotFound("NoSession", f"there is no session {session_id} that you may see")
        return view

    def sees_session(self, view: SessionView) -> bool:
        """Whether the person takes part, opened it, or answers for an agent that takes part."""
        if self.actor.is_admin or self.actor.id in (view.created_by, *view.participants):
            return True
        agents = (party.removeprefix("agent:") for party in view.participants if party.startswith("agent:"))
        return any(answers_for(self.chart.snapshot, self.actor, agent) for agent in agents)

    async def _values(self, session_id: str, document: object) -> dict[str, str]:
        tokens = token_candidates(document)
        if not tokens:
            return {}
        pseudonyms = self.runtime.services.pseudonyms
        return await pseudonyms.restore(self.actor, session_id, tokens, self.actor.clearance)


def reader(call: Call[I]) -> Reader:
    """The person who asks, as the chart knows them now; raises NotFound(ChartMissing, UnknownPerson)."""
    identity = _identity(call)
    tenant = tenant_of(call.runtime, identity.tenant)
    chart = call.runtime.services.chart.current(tenant)
    return Reader(call.runtime, _actor(call.runtime, tenant, identity), chart)


def writer(call: Call[I]) -> Actor:
    """The administrator, also while there is no chart yet; raises Denied(AdminOnly)."""
    identity = _identity(call)
    if not identity.is_admin:
        raise Denied("AdminOnly", "only the tenant's administrator may do this", "leave out --as")
    if identity.operator:
        return _operator(identity)
    tenants = call.runtime.services.chart.tenants()
    if not tenants:
        trace_id = current_trace_id()
        return Actor("", ActorType.PERSON, "person:desktop-admin", "TenantAdmin", trace_id=trace_id)
    return _actor(call.runtime, tenant_of(call.runtime, identity.tenant), identity)


def _operator(identity: PersonIdentity) -> Actor:
    """The operator, also for a tenant that has no chart yet; raises BadRequest."""
    if not identity.tenant:
        raise BadRequest("Cadre-Tenant: the operator acts for a tenant", "name it in the header Cadre-Tenant")
    trace_id = current_trace_id()
    return Actor(identity.tenant, ActorType.SYSTEM, "system:operator", "TenantAdmin", trace_id=trace_id)


def tenant_of(runtime: Runtime, named: str) -> str:
    """The tenant that is meant; raises NotFound(ChartMissing), BadRequest when several could be."""
    tenants = runtime.services.chart.tenants()
    if named in tenants:
        return named
    if not tenants:
        raise NotFound("ChartMissing", "no chart is in force", "apply one: cadre apply -f DIR")
    if named or len(tenants) > 1:
        raise BadRequest(
            "tenant: must name one of this controller's tenants", f"use one of: {', '.join(tenants)}"
        )
    return tenants[0]


def _identity(call: Call[I]) -> PersonIdentity:
    identity = call.principal
    if not isinstance(identity, PersonIdentity):
        raise Unauthorized("InvalidToken", "this token belongs to no person")
    return identity


def _actor(runtime: Runtime, tenant: str, identity: PersonIdentity) -> Actor:
    directory = runtime.services.directory
    actor = (
        directory.admin_actor(tenant)
        if identity.is_admin
        else directory.person_actor(tenant, identity.person)
    )
    return replace(actor, trace_id=current_trace_id())
