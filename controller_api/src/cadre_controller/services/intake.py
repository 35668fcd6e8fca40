"""How a task comes in: known key? who? may he? masked; then one commit of session, task, story, audit and
key."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cadre_api.protocol.base import Effect
from cadre_api.protocol.guard import GuardRules
from cadre_api.protocol.tasks import FanOutMode, RouteResult, TaskCreate, TaskState, TaskView
from cadre_controller.errors import BudgetExceeded, IdempotencyKeyReused, InvalidInput, NotFound
from cadre_controller.ports import Actor, Masker
from cadre_controller.services.budgets import BudgetService
from cadre_controller.services.chart import ChartService
from cadre_controller.services.dispatch import Dispatcher
from cadre_controller.services.kernel import Facts, Kernel, dump, queue_channel, task_channels
from cadre_controller.services.models import BudgetVerdict, Created, ParentTask
from cadre_controller.services.route_approvals import Asked, RouteApprovals
from cadre_controller.services.sessions import SessionService
from cadre_controller.services.task_rows import explained, fresh_view, in_short, remembered
from cadre_controller.store.known_keys import KnownKeys
from cadre_controller.store.work import Idempotency, Statement, Work, together
from cadre_core.canonical import digest
from cadre_core.model import EffectiveAgent, Recipe

MAX_DEPTH = 8
LATEST = timedelta(days=366)
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Origin:
    """What else a task comes from than a request."""

    schedule_id: str = ""
    execution_id: str = ""
    session_id: str = ""
    """Session whose tokens the prompt may carry; it is above the task's own."""


BY_HAND = Origin()


@dataclass(frozen=True, slots=True)
class _Masked:
    prompt: str
    context: dict[str, str]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Request:
    """A task on its way in, for one of the agents that get it."""

    actor: Actor
    body: TaskCreate
    parent: ParentTask | None
    route: RouteResult
    agent: EffectiveAgent
    session_id: str
    new_session: bool
    traceparent: str
    now: datetime
    group_id: str
    origin: Origin
    approval: Asked | None
    """Set when policy holds it until a person agrees."""

    @property
    def above(self) -> str:
        """The session that it comes from: the calling agent's, or a workflow's."""
        return self.parent.session_id if self.parent is not None else self.origin.session_id

    @property
    def trace_id(self) -> str:
        """The trace the task belongs to: the parent's, the caller's, or one of its own."""
        if self.parent is not None and self.parent.trace_id:
            return self.parent.trace_id
        return _trace_of(self.traceparent) or self.actor.trace_id


class Intake:
    """Creates tasks."""

    def __init__(
        self,
        kernel: Kernel,
        chart: ChartService,
        dispatcher: Dispatcher,
        sessions: SessionService,
        budgets: BudgetService,
        approvals: RouteApprovals,
        masker: Masker,
    ) -> None:
        self.dispatcher = dispatcher
        self._kernel = kernel
        self._keys = KnownKeys(kernel.db)
        self._chart = chart
        self._sessions = sessions
        self._budgets = budgets
        self._approvals = approvals
        self._masker = masker

    async def create(
        self,
        actor: Actor,
        body: TaskCreate,
        key: str,
        parent: ParentTask | None,
        traceparent: str,
        origin: Origin = BY_HAND,
    ) -> Created:
        """See TaskService.create."""
        request_hash = digest({"actor": actor.id, "body": body.model_dump(mode="json", by_alias=True)})
        known = await self._known(actor, key, request_hash)
        if known is not None:
            return known
        made = []
        for request in await self._prepare(actor, body, parent, traceparent, origin):
            masked = await self._mask(request)
            view = self._view(request, masked)
            made.append((self._work(request, view, masked), view))
        view = made[0][1]
        if body.dry_run:
            return Created(view, replayed=False)
        work = together([work for work, _ in made])
        if key:
            once = Idempotency(view.tenant, _scope(actor.id), key, request_hash, remembered(view))
            work = replace(work, idempotency=once)
        outcome = await self._kernel.submit(work)
        if outcome.replayed is not None:
            return await self._recalled(actor.tenant, outcome.replayed)
        return Created(view, replayed=False)

    async def made(self, tenant: str, actor_id: str, key: str) -> str:
        """The id of the task that this caller's key has made; empty = none."""
        row = await self._keys.find(tenant, _scope(actor_id), key)
        return str(row["response"]["id"]) if row is not None else ""

    async def _known(self, actor: Actor, key: str, request_hash: str) -> Created | None:
        if not key:
            return None
        row = await self._keys.find(actor.tenant, _scope(actor.id), key)
        if row is None:
            return None
        if row["request_hash"] != request_hash:
            raise IdempotencyKeyReused(key)
        return await self._recalled(actor.tenant, row["response"])

    async def _recalled(self, tenant: str, response: Mapping[str, object]) -> Created:
        """The answer as it was first given; its route is kept once, with the task."""
        view = TaskView.model_validate(response)
        for query in ("task_get", "task_past") if view.route is None else ():
            row = await self._kernel.db.fetch_one(tenant, query, tenant, view.id)
            if row is not None and row["route"] is not None:
                route = RouteResult.model_validate(row["route"])
                return Created(view.model_copy(update={"route": route}), replayed=True)
        return Created(view, replayed=True)

    async def _prepare(
        self,
        actor: Actor,
        body: TaskCreate,
        parent: ParentTask | None,
        traceparent: str,
        origin: Origin,
    ) -> list[_Request]:
        """One request for each agent that gets the task, all of them permitted and within budget."""
        if parent is not None and parent.depth >= MAX_DEPTH:
            raise InvalidInput(
                "TooDeep", f"tasks may call for tasks {MAX_DEPTH} deep", "answer with what you have"
            )
        now = self._kernel.clock.now()
        _check_time(body, now)
        route = await self.dispatcher.require(actor, body)
        if body.session_id:
            await self._joined(actor, body.session_id)
        group_id = self._group(body)
        found = []
        for key in route.agents:
            if await self._budgets.glance(actor.tenant, key) is BudgetVerdict.STOP:
                node = self._chart.agent(actor.tenant, key).node
                raise BudgetExceeded(node, BudgetVerdict.STOP.value)
            agent = self._chart.agent(actor.tenant, key)
            session_id = body.session_id or self._kernel.ids.new("ses")
            asked = self._asked(actor, body, agent, session_id, parent)
            found.append(
                _Request(
                    actor, body, parent, route, agent, session_id, not body.session_id, traceparent, now,
                    group_id, origin, asked,
                )
            )  # fmt: skip
        return found

    def _group(self, body: TaskCreate) -> str:
        if body.fan_out is None:
            return ""
        return self._kernel.ids.new("first" if body.fan_out.mode is FanOutMode.FIRST else "grp")

    def _asked(
        self,
        actor: Actor,
        body: TaskCreate,
        agent: EffectiveAgent,
        session_id: str,
        parent: ParentTask | None,
    ) -> Asked | None:
        """The approval that the task must wait for, if a rule asks for one."""
        decision = self.dispatcher.decision(actor, agent, body)
        if decision.effect is not Effect.REQUIRE_APPROVAL:
            return None
        requester = parent.requester if parent is not None else actor.id
        return self._approvals.ask(agent, session_id, requester, decision.approvals)

    async def _joined(self, actor: Actor, session_id: str) -> None:
        session = await self._sessions.get(actor.tenant, session_id)
        if actor.id not in session.participants and not actor.is_admin:
            raise NotFound(
                "UnknownSession", f"there is no session {session_id} of yours", "leave sessionId out"
            )

    async def _mask(self, request: _Request) -> _Masked:
        """Mask prompt and context for the agent's session; a calling agent's own tokens are passed on."""
        actor, tenant, agent = request.actor, request.actor.tenant, request.agent
        text = _filled(agent, request.body)
        if above := request.above:
            texts = (text, *request.body.context.values())
            await self._sessions.regrant(tenant, above, request.session_id, texts, actor=actor)
        rules: GuardRules = self._chart.guard_rules(tenant, agent.key)
        given = [text, dict(request.body.context)]
        masked = await self._masker.mask_json(tenant, request.session_id, given, rules)
        prompt, context = masked.value if isinstance(masked.value, list) else ("", {})
        return _Masked(prompt, {str(k): str(v) for k, v in context.items()}, dict(masked.counts))

    def _view(self, request: _Request, masked: _Masked) -> TaskView:
        parent, task_id = request.parent, self._kernel.ids.new("task")
        start = request.body.not_before or request.now
        return fresh_view(
            task_id=task_id,
            tenant=request.actor.tenant,
            agent=request.agent.key,
            requester=parent.requester if parent is not None else request.actor.id,
            session_id=request.session_id,
            parent_task_id=parent.task_id if parent is not None else "",
            prompt=masked.prompt,
            priority=request.body.priority,
            now=request.now,
            deadline=max(start, request.now) + timedelta(seconds=request.body.deadline_seconds),
            trace_id=request.trace_id or hashlib.sha256(task_id.encode()).hexdigest()[:32],
            route=request.route,
            state=TaskState.QUEUED if request.approval is None else TaskState.HELD,
            approval=request.approval.id if request.approval is not None else "",
            not_before=request.body.not_before if start > request.now else None,
            group_id=request.group_id,
            schedule_id=request.origin.schedule_id,
        )

    def _work(self, request: _Request, view: TaskView, masked: _Masked) -> Work:
        actor, tenant, kernel = request.actor, view.tenant, self._kernel
        asked = request.approval.about(view) if request.approval is not None else None
        story = explained(request.route)
        statements = (
            *self._session_statements(request, view),
            Statement("task_insert", self._row(request, view, masked)),
            kernel.event(tenant, view.id, "Created", "", {"by": actor.id, "session": view.session_id}),
            kernel.event(tenant, view.id, "Masked", "prompt", {"redactions": masked.counts}),
            kernel.event(tenant, view.id, "Routed", view.agent, story),
            *(asked.statements if asked is not None else ()),
        )
        about = {
            "agent": view.agent,
            "session": view.session_id,
            "parent": view.parent_task_id,
            "group": view.group_id,
            "schedule": view.schedule_id,
            "execution": request.origin.execution_id,
        }
        target, traced = f"task:{view.id}", view.trace_id
        entries = (
            kernel.audit(actor, "task.create", target, "ok", Facts(about, masked.counts, trace_id=traced)),
            kernel.audit(actor, "task.route", target, "ok", Facts(in_short(story), trace_id=traced)),
            *(asked.audit if asked is not None else ()),
        )
        channels = (queue_channel(tenant, view.agent), f"task:{tenant}:{view.parent_task_id}")
        return Work(
            tenant,
            statements,
            frozenset({f"task:{view.id}"}),
            audit=entries,
            notify=task_channels(tenant, view.id, channels),
        )

    def _session_statements(self, request: _Request, view: TaskView) -> tuple[Statement, ...]:
        tenant, now = view.tenant, request.now
        joins = tuple(
            Statement("participant_put", (tenant, view.session_id, participant, now))
            for participant in (request.actor.id, f"agent:{view.agent}")
        )
        if not request.new_session:
            return joins
        opening = (tenant, view.session_id, request.actor.id, request.above, now)
        return (Statement("session_insert", opening), *joins)

    def _row(self, request: _Request, view: TaskView, masked: _Masked) -> tuple[object, ...]:
        parent, body = request.parent, request.body
        root = parent.root_task_id if parent is not None else view.id
        traceparent = request.traceparent or (parent.traceparent if parent is not None else "")
        return (
            view.tenant, view.id, view.agent, view.requester, view.session_id, view.parent_task_id, root,
            parent.depth + 1 if parent is not None else 0, masked.prompt, dump(masked.context),
            body.max_attempts,
            body.priority, request.now, view.deadline_at, view.trace_id, traceparent,
            request.route.model_dump_json(by_alias=True, exclude_defaults=True), view.state.value,
            view.not_before or request.now, view.pending_approval, view.group_id, view.schedule_id,
        )  # fmt: skip


def _check_time(body: TaskCreate, now: datetime) -> None:
    at = body.not_before
    if at is not None and (at.tzinfo is None or at > now + LATEST):
        raise InvalidInput(
            "BadTime",
            "notBefore must have a time zone and lie within a year",
            "use e.g. 2027-01-31T09:00:00Z",
        )


def _scope(actor_id: str) -> str:
    """Keys of two callers never meet."""
    return f"tasks.create:{actor_id}"


def _filled(agent: EffectiveAgent, body: TaskCreate) -> str:
    """The prompt, preceded by the recipe with its parameters when one is named. Raises InvalidInput."""
    if not body.recipe:
        return body.prompt
    recipe: Recipe = agent.recipes[body.recipe]
    missing = [
        name
        for name, spec in recipe.parameters.items()
        if spec.get("required") and name not in body.parameters
    ]
    unknown = sorted(body.parameters.keys() - recipe.parameters.keys())
    if missing or unknown:
        raise InvalidInput(
            "BadParameters",
            f"recipe {recipe.name}: missing {missing}, unknown {unknown}",
            f"give exactly: {', '.join(sorted(recipe.parameters)) or 'none'}",
        )
    values = {
        name: str(spec.get("default", "")) for name, spec in recipe.parameters.items()
    } | body.parameters

    def fill(match: re.Match[str]) -> str:
        return values.get(match.group(1), match.group())

    return f"{_PLACEHOLDER.sub(fill, recipe.prompt)}\n\n{body.prompt}"


def _trace_of(traceparent: str) -> str:
    """Trace id of a W3C traceparent, or nothing."""
    parts = traceparent.split("-")
    return parts[1] if len(parts) == 4 and re.fullmatch(r"[0-9a-f]{32}", parts[1]) else ""
