"""Approvals: what a human is asked, and the answer."""

from cadre_api.protocol.tasks import ApprovalView, DecisionCreate
from cadre_controller.auth.visibility import sees_approval
from cadre_controller.routes.models import ApprovalCreate, ApprovalPage, ApprovalQuery
from cadre_controller.routes.public.reader import reader
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table

TABLE = Table(Scope.PERSON)


@TABLE.get("/api/v1/approvals", ApprovalQuery, ApprovalPage)
async def approvals(call: Call[ApprovalQuery]) -> Answer:
    """The approvals that the person may see, newest first."""
    who, query = reader(call), call.input
    page = await call.runtime.services.approvals.list(
        who.actor.tenant, state=query.state, limit=query.limit, cursor=query.cursor
    )
    seen = [view for view in page.items if sees_approval(who.chart.snapshot, who.actor, view)]
    items = tuple([await who.restored(view.session_id, view) for view in seen])
    return ApprovalPage(items=items, next=page.next)


@TABLE.get("/api/v1/approvals/{id}", Nothing, ApprovalView)
async def get(call: Call[Nothing]) -> Answer:
    """One approval, its arguments restored within the reader's clearance."""
    who = reader(call)
    view = await who.approval(call.path("id"))
    return await who.restored(view.session_id, view)


@TABLE.post("/api/v1/approvals/{id}/decision", DecisionCreate, ApprovalView)
async def decide(call: Call[DecisionCreate]) -> Answer:
    """Approve or deny, once, bound to the hash of the arguments as delivered."""
    who = reader(call)
    with call.runtime.tracing.span("approval.decide", who.actor.tenant):
        view = await who.approval(call.path("id"))
        decided = await call.runtime.services.approvals.decide(who.actor, view.id, call.input)
    return await who.restored(decided.session_id, decided)


@TABLE.post("/api/v1/approvals", ApprovalCreate, ApprovalView, status=201)
async def create(call: Call[ApprovalCreate]) -> Answer:
    """Ask a human about a step of a session."""
    who, asked = reader(call), call.input
    await who.session(asked.session_id)
    view = await call.runtime.services.approvals.request_step(
        who.actor, asked.session_id, asked.step_id, asked.approver_role, asked.payload
    )
    return await who.restored(view.session_id, view)
