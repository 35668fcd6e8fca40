"""Approvals: what a human is asked, and the answer."""

from cadre_api.protocol.tasks import ApprovalView, DecisionCreate, PermitView
from cadre_controller.auth.visibility import answers_for, sees_approval
from cadre_controller.errors import NotFound
from cadre_controller.routes.models import ApprovalCreate, ApprovalPage, ApprovalQuery, PermitPage
from cadre_controller.routes.public.reader import I, Reader, reader
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table
from cadre_controller.services.approval_links import find_link
from cadre_controller.services.edits import Edit

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


@TABLE.get("/api/v1/permits", Nothing, PermitPage)
async def permits(call: Call[Nothing]) -> Answer:
    """What was allowed for several calls and still lets some through, as far as the person may see it."""
    who = reader(call)
    found = await call.runtime.services.approvals.permits.list(who.actor.tenant)
    return PermitPage(items=tuple(permit for permit in found if _decides(who, permit)))


@TABLE.post("/api/v1/permits/{id}", Nothing, None, status=204, method="DELETE")
async def revoke(call: Call[Nothing]) -> Answer:
    """Let nothing more through by this permit."""
    who, permits = reader(call), call.runtime.services.approvals.permits
    open_ones = await permits.list(who.actor.tenant)
    if not any(permit.id == call.path("id") and _decides(who, permit) for permit in open_ones):
        raise NotFound("UnknownPermit", f"there is no open permit {call.path('id')} of yours")
    await permits.revoke(who.actor, call.path("id"))
    return None


def _decides(who: Reader, permit: PermitView) -> bool:
    """Whoever gave it, answers for the agent, or administers."""
    actor = who.actor
    return actor.is_admin or permit.person == actor.id or answers_for(who.chart.snapshot, actor, permit.agent)


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
        edit = await _edit(call, view)
        decided = await call.runtime.services.approvals.decide(who.actor, view.id, call.input, edit=edit)
    return await who.restored(decided.session_id, decided)


@TABLE.get("/api/v1/approval-links/{code}", Nothing, ApprovalView)
async def by_link(call: Call[Nothing]) -> Answer:
    """The approval that a link is for, to whom it was given; this decides nothing."""
    who = reader(call)
    view = await who.approval(await _linked(call))
    return await who.restored(view.session_id, view)


@TABLE.post("/api/v1/approval-links/{code}", DecisionCreate, ApprovalView)
async def decide_by_link(call: Call[DecisionCreate]) -> Answer:
    """Approve or deny as the person to whom the link was given; it is used up by that."""
    who = reader(call)
    view = await who.approval(await _linked(call))
    edit = await _edit(call, view)
    decided = await call.runtime.services.approvals.decide(
        who.actor, view.id, call.input, link=call.path("code"), edit=edit
    )
    return await who.restored(decided.session_id, decided)


async def _edit(call: Call[DecisionCreate], view: ApprovalView) -> Edit | None:
    given = call.input.arguments
    return None if given is None else await call.runtime.services.edits.check(view, given)


async def _linked(call: Call[I]) -> str:
    return await find_link(call.runtime.services.kernel, reader(call).actor, call.path("code"))


@TABLE.post("/api/v1/approvals", ApprovalCreate, ApprovalView, status=201)
async def create(call: Call[ApprovalCreate]) -> Answer:
    """Ask a human about a step of a session."""
    who, asked = reader(call), call.input
    await who.session(asked.session_id)
    view = await call.runtime.services.approvals.request_step(
        who.actor, asked.session_id, asked.step_id, asked.approver_role, asked.payload
    )
    return await who.restored(view.session_id, view)
