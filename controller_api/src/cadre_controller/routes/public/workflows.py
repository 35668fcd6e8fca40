"""Workflows as people run them: a person sees their own runs, administrators and auditors all."""

from cadre_api.protocol.workflows import ExecutionCreate, ExecutionRetry, ExecutionView, WorkflowView
from cadre_controller.auth.visibility import may_audit
from cadre_controller.errors import NotFound
from cadre_controller.routes.conditional import idempotency_key
from cadre_controller.routes.public.reader import I, Reader, reader
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table
from cadre_controller.routes.workflow_models import ExecutionPage, ExecutionQuery, WorkflowPage
from cadre_controller.services.execution_rows import workflow_view

TABLE = Table(Scope.PERSON)


@TABLE.get("/api/v1/workflows", Nothing, WorkflowPage)
async def workflows(call: Call[Nothing]) -> Answer:
    """The workflows of the chart with their parameters."""
    return WorkflowPage(items=call.runtime.services.workflows.workflows(reader(call).actor.tenant))


@TABLE.get("/api/v1/workflows/{name}", Nothing, WorkflowView)
async def workflow(call: Call[Nothing]) -> Answer:
    """One workflow."""
    tenant = reader(call).actor.tenant
    return workflow_view(call.runtime.services.workflows.workflow(tenant, call.path("name")))


@TABLE.post("/api/v1/workflows/{name}/execute", ExecutionCreate, ExecutionView, status=201)
async def execute(call: Call[ExecutionCreate]) -> Answer:
    """Begin a run; with an Idempotency-Key a repeat answers with the first one's."""
    key = idempotency_key(call.request)
    who = reader(call)
    with call.runtime.tracing.span("workflow.start", who.actor.tenant):
        view = await call.runtime.services.workflows.start(
            who.actor, call.path("name"), call.input.parameters, idempotency_key=key
        )
    return await who.restored(view.session_id, view)


@TABLE.get("/api/v1/executions", ExecutionQuery, ExecutionPage)
async def executions(call: Call[ExecutionQuery]) -> Answer:
    """The runs that the person may see, newest first."""
    who, query = reader(call), call.input
    service, tenant = call.runtime.services.workflows, who.actor.tenant
    page = await service.list(
        tenant,
        state=query.state or "",
        workflow=service.workflow(tenant, query.workflow).key if query.workflow else "",
        requester="" if _sees_all(who) else who.actor.id,
        limit=query.limit,
        cursor=query.cursor,
    )
    items = tuple([await who.restored(view.session_id, view) for view in page.items])
    return ExecutionPage(items=items, next=page.next)


@TABLE.get("/api/v1/executions/{id}", Nothing, ExecutionView)
async def execution(call: Call[Nothing]) -> Answer:
    """One run with its timeline."""
    view = await _seen(call)
    return await reader(call).restored(view.session_id, view)


@TABLE.post("/api/v1/executions/{id}/cancel", Nothing, ExecutionView)
async def cancel(call: Call[Nothing]) -> Answer:
    """Stop what runs and undo what is done; a run that has ended stays as it is."""
    who, view = reader(call), await _own(call)
    done = await call.runtime.services.workflows.cancel(who.actor, view.id)
    return await who.restored(done.session_id, done)


@TABLE.post("/api/v1/executions/{id}/retry", ExecutionRetry, ExecutionView)
async def retry(call: Call[ExecutionRetry]) -> Answer:
    """Run a step of an ended run again, with all that depends on it and all that was undone."""
    who, view = reader(call), await _own(call)
    again = await call.runtime.services.workflows.retry(who.actor, view.id, call.input.step)
    return await who.restored(again.session_id, again)


def _sees_all(who: Reader) -> bool:
    return may_audit(who.chart.snapshot, who.actor)


async def _seen(call: Call[I]) -> ExecutionView:
    who = reader(call)
    view = await call.runtime.services.workflows.get(who.actor.tenant, call.path("id"))
    if not _sees_all(who) and view.requester != who.actor.id:
        raise NotFound("UnknownExecution", f"there is no run {call.path('id')} that you may see")
    return view


async def _own(call: Call[I]) -> ExecutionView:
    """Only whoever began a run, or an administrator, changes its course."""
    who, view = reader(call), await _seen(call)
    if not who.actor.is_admin and view.requester != who.actor.id:
        raise NotFound("UnknownExecution", f"there is no run {call.path('id')} of yours")
    return view
