"""A task's story as a list or as it happens (server-sent events), and all that hangs on a task or session."""

import contextlib
import json
from collections.abc import Iterable

from aiohttp import web

from cadre_api.protocol.tasks import TaskEvent, TaskState
from cadre_controller.refusals import BadRequest, ShuttingDown
from cadre_controller.routes.models import EventPage, EventQuery, StatusBody
from cadre_controller.routes.public.reader import Reader, reader
from cadre_controller.routes.public.sessions import session_body
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table

TABLE = Table(Scope.PERSON)
_EVENT_STREAM = "text/event-stream"
_KEEPALIVE_SECONDS = 10.0
_FINAL = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.DEAD})


@TABLE.get("/api/v1/tasks/{id}/events", EventQuery, EventPage)
async def events(call: Call[EventQuery]) -> Answer:
    """The story so far; with `Accept: text/event-stream` it goes on until the task is final."""
    who, query = reader(call), call.input
    view = await who.task(call.path("id"))
    story = _Story(who, view.id, query.tree)
    if _EVENT_STREAM in call.request.headers.get("Accept", ""):
        return await _stream(call, story, _last_seen(call.request, query.after))
    tasks = call.runtime.services.tasks
    found = await tasks.events(
        who.actor.tenant, view.id, after=query.after, tree=query.tree, limit=query.limit
    )
    return EventPage(items=await story.restored(found))


@TABLE.get("/api/v1/status/{id}", Nothing, StatusBody)
async def status(call: Call[Nothing]) -> Answer:
    """A task or session with participants, children and pending approvals."""
    who = reader(call)
    found = await call.runtime.services.tasks.status(who.actor.tenant, call.path("id"))
    session = await session_body(who, found.session)
    return StatusBody(
        id=found.id,
        state=found.state,
        session=session,
        participants=found.session.participants,
        tasks=await who.tasks(found.tasks),
        approvals=tuple([await who.restored(found.session.id, approval) for approval in found.approvals]),
    )


class _Story:
    """The events of a task (and its children), each restored with the grants of its own session."""

    def __init__(self, who: Reader, task_id: str, tree: bool) -> None:
        self._who = who
        self._sessions: dict[str, str] = {}
        self.task_id = task_id
        self.tree = tree

    async def restored(self, events: Iterable[TaskEvent]) -> tuple[TaskEvent, ...]:
        """The events as the person may read them."""
        return tuple(
            [await self._who.restored(await self._session(event.task_id), event) for event in events]
        )

    async def final(self) -> bool:
        """Whether nothing more will happen to the task."""
        view = await self._who.runtime.services.tasks.get(self._who.actor.tenant, self.task_id)
        return view.state in _FINAL

    async def next(self, after: int) -> tuple[TaskEvent, ...]:
        """The events after a number, or none within the keep-alive time; raises ShuttingDown."""
        runtime, tenant = self._who.runtime, self._who.actor.tenant
        waiting = runtime.services.tasks.wait_events(
            tenant, self.task_id, after=after, tree=self.tree, wait_seconds=_KEEPALIVE_SECONDS
        )
        return await self.restored(await runtime.unless_stopping(waiting))

    async def rest(self, after: int) -> tuple[TaskEvent, ...]:
        """What is left to tell of a task that is over."""
        tasks = self._who.runtime.services.tasks
        found: list[TaskEvent] = []
        while page := await tasks.events(self._who.actor.tenant, self.task_id, after=after, tree=self.tree):
            found.extend(await self.restored(page))
            after = page[-1].seq
        return tuple(found)

    async def _session(self, task_id: str) -> str:
        if task_id not in self._sessions:
            view = await self._who.runtime.services.tasks.get(self._who.actor.tenant, task_id)
            self._sessions[task_id] = view.session_id
        return self._sessions[task_id]


async def _stream(call: Call[EventQuery], story: _Story, after: int) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": _EVENT_STREAM, "Cache-Control": "no-store"})
    await response.prepare(call.request)
    gauge = call.runtime.metrics.streams.labels("events")
    with gauge.track_inprogress(), contextlib.suppress(ConnectionError, ShuttingDown):
        await _tell(response, story, after)
        await response.write_eof()
    return response


async def _tell(response: web.StreamResponse, story: _Story, after: int) -> None:
    while True:
        final = await story.final()
        found = await (story.rest(after) if final else story.next(after))
        for event in found:
            after = event.seq
            await response.write(_event(event))
        if final:
            return
        if not found:
            await response.write(b": keepalive\n\n")


def _event(event: TaskEvent) -> bytes:
    data = json.dumps(event.model_dump(mode="json", by_alias=True), ensure_ascii=False, separators=(",", ":"))
    return f"id: {event.seq}\nevent: {event.kind}\ndata: {data}\n\n".encode()


def _last_seen(request: web.Request, after: int) -> int:
    given = request.headers.get("Last-Event-ID", "")
    if not given:
        return after
    if not given.isdigit():
        raise BadRequest("Last-Event-ID: must be a number", "send the id of the last event you saw")
    return int(given)
