"""The queue as people use it: dead letters, schedules, and who would do a task."""

from dataclasses import asdict

from cadre_api.protocol.tasks import TaskCreate, TaskView
from cadre_controller.errors import NotFound
from cadre_controller.routes.models import TaskPage
from cadre_controller.routes.public.reader import I, Reader, reader
from cadre_controller.routes.queue_models import (
    DeadLetterQuery,
    RouteAnswer,
    RouteQuestion,
    ScheduleBody,
    ScheduleCreate,
    SchedulePage,
    ScheduleQuery,
)
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table
from cadre_controller.services.models import Schedule

TABLE = Table(Scope.PERSON)


@TABLE.post("/route", RouteQuestion, RouteAnswer)
async def route(call: Call[RouteQuestion]) -> Answer:
    """Which agents would get this task and why; nothing is committed."""
    asked = call.input
    body = TaskCreate(
        prompt=asked.task,
        skills=asked.skills,
        fan_out=asked.fan_out,
        **dict(asked.constraints),
    )
    found = await call.runtime.services.tasks.route(reader(call).actor, body)
    return RouteAnswer(agent_targets=found.agents, route=found)


@TABLE.get("/api/v1/dead-letters", DeadLetterQuery, TaskPage)
async def dead_letters(call: Call[DeadLetterQuery]) -> Answer:
    """Tasks that used up their attempts, last to die first, as far as the person may see them."""
    who, query, services = reader(call), call.input, call.runtime.services
    agent = services.directory.agent_key(who.actor.tenant, query.agent) if query.agent else ""
    page = await services.dead_letters.list(
        who.actor.tenant, agent=agent, reason=query.reason, limit=query.limit, cursor=query.cursor
    )
    return TaskPage(items=await who.tasks(page.items), next=page.next)


@TABLE.post("/api/v1/tasks/{id}/redrive", Nothing, TaskView)
async def redrive(call: Call[Nothing]) -> Answer:
    """Queue a dead task again with all its attempts."""
    who = reader(call)
    view = await who.task(call.path("id"))
    done = await call.runtime.services.dead_letters.redrive(who.actor, view.id)
    return await who.restored(done.session_id, done)


@TABLE.post("/api/v1/tasks/{id}/drop", Nothing, TaskView)
async def drop(call: Call[Nothing]) -> Answer:
    """Give a dead task up for good."""
    who = reader(call)
    view = await who.task(call.path("id"))
    done = await call.runtime.services.dead_letters.drop(who.actor, view.id)
    return await who.restored(done.session_id, done)


@TABLE.post("/api/v1/schedules", ScheduleCreate, ScheduleBody, status=201)
async def schedule(call: Call[ScheduleCreate]) -> Answer:
    """Let a task come again by cron; each run is permitted, routed and masked anew."""
    who, given = reader(call), call.input
    made = await call.runtime.services.schedules.create(
        who.actor, given.name, given.cron, given.time_zone, given.task
    )
    return _body(made)


@TABLE.get("/api/v1/schedules", ScheduleQuery, SchedulePage)
async def schedules(call: Call[ScheduleQuery]) -> Answer:
    """The person's own schedules; an administrator's answer holds everyone's."""
    who, query = reader(call), call.input
    page = await call.runtime.services.schedules.list(
        who.actor.tenant, limit=query.limit, cursor=query.cursor
    )
    return SchedulePage(items=tuple(_body(s) for s in page.items if _owns(who, s)), next=page.next)


@TABLE.get("/api/v1/schedules/{id}", Nothing, ScheduleBody)
async def schedule_get(call: Call[Nothing]) -> Answer:
    """One schedule."""
    return _body(await _own(call))


@TABLE.post("/api/v1/schedules/{id}/pause", Nothing, ScheduleBody)
async def pause(call: Call[Nothing]) -> Answer:
    """Make no more tasks until it is resumed."""
    found = await _own(call)
    return _body(await call.runtime.services.schedules.set_active(reader(call).actor, found.id, False))


@TABLE.post("/api/v1/schedules/{id}/resume", Nothing, ScheduleBody)
async def resume(call: Call[Nothing]) -> Answer:
    """Go on with the next time."""
    found = await _own(call)
    return _body(await call.runtime.services.schedules.set_active(reader(call).actor, found.id, True))


@TABLE.post("/api/v1/schedules/{id}", Nothing, None, status=204, method="DELETE")
async def schedule_delete(call: Call[Nothing]) -> Answer:
    """Forget a schedule; the tasks it made stay."""
    found = await _own(call)
    await call.runtime.services.schedules.delete(reader(call).actor, found.id)
    return None


async def _own(call: Call[I]) -> Schedule:
    who = reader(call)
    found = await call.runtime.services.schedules.get(who.actor.tenant, call.path("id"))
    if not _owns(who, found):
        raise NotFound("UnknownSchedule", f"there is no schedule {call.path('id')} of yours")
    return found


def _owns(who: Reader, schedule: Schedule) -> bool:
    return who.actor.is_admin or schedule.owner == who.actor.id


def _body(schedule: Schedule) -> ScheduleBody:
    return ScheduleBody(**asdict(schedule))
