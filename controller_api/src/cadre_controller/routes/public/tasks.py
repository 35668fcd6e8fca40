"""Tasks as people use them."""

from cadre_api.protocol.tasks import RouteResult, TaskCreate, TaskView
from cadre_controller.routes.conditional import idempotency_key
from cadre_controller.routes.models import TaskPage, TaskQuery
from cadre_controller.routes.public.reader import reader
from cadre_controller.routes.table import Answer, Call, Created, Nothing, Scope, Table
from cadre_controller.telemetry import current_traceparent

TABLE = Table(Scope.PERSON)


@TABLE.post("/api/v1/tasks", TaskCreate, TaskView, status=201)
async def create(call: Call[TaskCreate]) -> Answer:
    """Submit a task; with an Idempotency-Key a repeat answers 200 with the first one's task."""
    key = idempotency_key(call.request)
    who = reader(call)
    given = call.request.headers.get("traceparent", "")
    with call.runtime.tracing.span("task.create", who.actor.tenant, given):
        who = reader(call)
        created = await call.runtime.services.tasks.create(
            who.actor, call.input, idempotency_key=key, traceparent=current_traceparent()
        )
    view = await who.restored(created.view.session_id, created.view)
    return Created(view, 200 if created.replayed or call.input.dry_run else 201)


@TABLE.get("/api/v1/tasks", TaskQuery, TaskPage)
async def tasks(call: Call[TaskQuery]) -> Answer:
    """The tasks that the person may see, newest first."""
    who, query = reader(call), call.input
    services = call.runtime.services
    agent = services.directory.agent_key(who.actor.tenant, query.agent) if query.agent else ""
    page = await services.tasks.list(
        who.actor.tenant,
        state=query.state,
        agent=agent,
        group=query.group,
        session=query.session,
        requester=query.requester,
        limit=query.limit,
        cursor=query.cursor,
    )
    return TaskPage(items=await who.tasks(page.items), next=page.next)


@TABLE.post("/api/v1/tasks/route", TaskCreate, RouteResult)
async def route(call: Call[TaskCreate]) -> Answer:
    """Who would get this task and why; nothing is committed."""
    return await call.runtime.services.tasks.route(reader(call).actor, call.input)


@TABLE.get("/api/v1/tasks/{id}", Nothing, TaskView)
async def get(call: Call[Nothing]) -> Answer:
    """One task."""
    who = reader(call)
    view = await who.task(call.path("id"))
    return await who.restored(view.session_id, view)


@TABLE.get("/api/v1/tasks/{id}/result", Nothing, TaskView)
async def result(call: Call[Nothing]) -> Answer:
    """One task with its result, restored within the reader's clearance."""
    who = reader(call)
    view = await who.task(call.path("id"))
    return await who.restored(view.session_id, view)


@TABLE.post("/api/v1/tasks/{id}/cancel", Nothing, TaskView)
async def cancel(call: Call[Nothing]) -> Answer:
    """Ask for its end; its guard hears of it with the next heartbeat."""
    who = reader(call)
    view = await who.task(call.path("id"))
    cancelled = await call.runtime.services.tasks.cancel(who.actor, view.id)
    return await who.restored(cancelled.session_id, cancelled)
