"""What the steps of a run do outside of it: tasks, approvals, messages, HTTP requests, other runs.

Every effect is keyed by run, round, step and element, so that a look that was cut in the middle repeats none.
"""

from dataclasses import replace

from cadre_api.protocol.messages import MessageSend
from cadre_api.protocol.tasks import ApprovalKind, ApprovalState, TaskCreate, TaskState, TaskView
from cadre_api.units import parse_duration
from cadre_api.v1alpha1 import MessageTemplate, Step, TaskTemplate
from cadre_controller.ports import Actor
from cadre_controller.services import panels
from cadre_controller.services.approval_rows import ApprovalDraft
from cadre_controller.services.approvals import ApprovalService
from cadre_controller.services.chart import ChartService
from cadre_controller.services.dispatch import node_of
from cadre_controller.services.execution_rows import Begun
from cadre_controller.services.intake import Origin
from cadre_controller.services.kernel import Kernel, system_actor
from cadre_controller.services.messages import MessageService
from cadre_controller.services.sessions import SessionService
from cadre_controller.services.step_requests import StepRequests
from cadre_controller.services.task_rows import FINAL
from cadre_controller.services.tasks import TaskService
from cadre_controller.store.pool import Row
from cadre_core.approvers import approval_rule
from cadre_core.canonical import digest
from cadre_core.workflow import Definition, Record, RunState, Start, StepState
from cadre_core.workflow.expressions import MAX_RESULT, as_text

DEADLINE = 24 * 3600
LONGEST = 604_800
_BARE = "Carry out what is described above."


class StepEffects:
    """Begin a step, see how it stands, end it."""

    def __init__(
        self,
        kernel: Kernel,
        chart: ChartService,
        tasks: TaskService,
        approvals: ApprovalService,
        messages: MessageService,
        sessions: SessionService,
        requests: StepRequests,
    ) -> None:
        self._kernel = kernel
        self._chart = chart
        self._tasks = tasks
        self._approvals = approvals
        self._messages = messages
        self._sessions = sessions
        self._requests = requests

    async def begin(self, row: Row, definition: Definition, actor: Actor, start: Start) -> Begun:
        """Begin a step that is no run of its own; its record says what it waits for."""
        step = start.step
        record = Record(step.name, start.item, StepState.RUNNING, due=start.due)
        if step.task is not None:
            return Begun(record, await self._task(row, definition, actor, start, step.task))
        if step.message is not None:
            sent = await self._message(row, definition, actor, start, step.message)
            return Begun(replace(record, state=StepState.SUCCEEDED, result={"sent": sent}, due=None))
        if step.approval is not None:
            return Begun(record, await self._approval(row, definition, actor, start))
        if step.http is not None:
            request_id, opening = self._requests.opening(row, definition, start, step.http, _key(row, start))
            return Begun(record, request_id, (opening,))
        return Begun(record)

    async def begun(self, row: Row, start: Start) -> str:
        """What was begun for this step already and goes on by itself, recorded or not; empty = nothing."""
        if start.step.task is not None:
            return await self._tasks.made(row["tenant"], row["requester"], _key(row, start))
        if start.step.approval is not None:
            return await self._approvals.of_step(row["tenant"], row["session_id"], _key(row, start))
        return ""

    async def look(self, row: Row, found: Row) -> Record | None:
        """How a running step ended; None while it goes on."""
        record = Record(found["name"], found["item"], StepState.RUNNING)
        match found["kind"]:
            case "task":
                return await self._task_ended(row, record, found["ref"])
            case "approval":
                view = await self._approvals.get(row["tenant"], found["ref"])
                return _decided(record, view.id, view.state, view.reason)
            case "http":
                return await self._requests.look(row["tenant"], record, found["ref"])
            case "workflow":
                return await self._run_ended(row, record, found["ref"])
            case _:
                return None

    async def stop(self, row: Row, found: Row) -> None:
        """End what a step waits for; what has ended stays as it is."""
        actor = system_actor(row["tenant"], "workflows")
        if found["kind"] == "task":
            await self._tasks.cancel(actor, found["ref"])
        elif found["kind"] == "approval":
            await self._approvals.withdraw(actor, found["ref"])
        elif found["kind"] == "http":
            await self._requests.stop(row["tenant"], found["ref"])

    async def _task(
        self, row: Row, definition: Definition, actor: Actor, start: Start, task: TaskTemplate
    ) -> str:
        values = {name: as_text(value) for name, value in start.values.items()}
        body = TaskCreate(
            prompt=start.prompt or _BARE,
            agent=definition.key_of(task.agent_ref) if task.agent_ref is not None else "",
            role=task.role or "",
            recipe=task.recipe or "",
            parameters=values if task.recipe else {},
            deadline_seconds=_deadline(start.step),
        )
        origin = Origin(execution_id=row["id"], session_id=row["session_id"])
        made = await self._tasks.create(actor, body, idempotency_key=_key(row, start), origin=origin)
        return made.view.id

    async def _message(
        self, row: Row, definition: Definition, actor: Actor, start: Start, message: MessageTemplate
    ) -> int:
        to = f"topic:{message.topic}"
        if message.agent_ref is not None:
            to = f"agent:{definition.key_of(message.agent_ref)}"
        elif message.person_ref is not None:
            to = f"person:{definition.key_of(message.person_ref)}"
        given = MessageSend(to=to, body=start.prompt)
        sent = await self._messages.send(actor, given, key=_key(row, start), from_session=row["session_id"])
        return len(sent)

    async def _approval(self, row: Row, definition: Definition, actor: Actor, start: Start) -> str:
        tenant, asked = row["tenant"], start.step.approval
        assert asked is not None
        node = definition.key_of(asked.node_ref) if asked.node_ref is not None else ""
        snapshot = self._chart.current(tenant).snapshot
        rule_id = f"{definition.key}#{start.step.name}"
        shown: dict[str, object] = {
            "workflow": definition.key,
            "step": start.step.name,
            "results": dict(start.values),
        }
        draft = ApprovalDraft(
            kind=ApprovalKind.STEP,
            session_id=row["session_id"],
            step_id=_key(row, start),
            node=node_of(snapshot, actor) or snapshot.root,
            requester=actor.id,
            arguments=shown,
            arguments_hash=f"sha256:{digest(shown).removeprefix('sha256:')}",
            requirements=panels.requirements_of(
                [(rule_id, approval_rule(asked, node))], self._kernel.clock.now()
            ),
        )
        return (await self._approvals.request_once(tenant, draft)).id

    async def _task_ended(self, row: Row, record: Record, task_id: str) -> Record | None:
        view = await self._tasks.get(row["tenant"], task_id)
        if view.state not in FINAL:
            return None
        if view.state is TaskState.SUCCEEDED:
            text = _cut(view.result)
            await self._sessions.regrant(row["tenant"], view.session_id, row["session_id"], (text,))
            return replace(record, state=StepState.SUCCEEDED, result=text)
        state = StepState.CANCELLED if view.state is TaskState.CANCELLED else StepState.FAILED
        return replace(record, state=state, reason=view.reason or "TaskFailed", message=_why(view))

    async def _run_ended(self, row: Row, record: Record, execution_id: str) -> Record | None:
        child = await self._kernel.db.fetch_one(row["tenant"], "execution_get", row["tenant"], execution_id)
        if child is None or child["ended_at"] is None:
            return None
        if child["state"] == RunState.SUCCEEDED:
            texts = [as_text(child["result"])]
            await self._sessions.regrant(row["tenant"], child["session_id"], row["session_id"], texts)
            return replace(record, state=StepState.SUCCEEDED, result=child["result"])
        state = StepState.CANCELLED if child["state"] == RunState.CANCELLED else StepState.FAILED
        return replace(record, state=state, reason=child["reason"] or "RunFailed")


def _key(row: Row, start: Start) -> str:
    """Unique per effect: a repeated look finds what an earlier one began."""
    return f"workflow:{row['id']}:{row['round']}:{start.step.name}:{start.item}"


def _decided(record: Record, approval_id: str, state: ApprovalState, reason: str) -> Record | None:
    match state:
        case ApprovalState.PENDING:
            return None
        case ApprovalState.APPROVED:
            return replace(record, state=StepState.SUCCEEDED, result={"approval": approval_id})
        case ApprovalState.DENIED:
            return replace(record, state=StepState.FAILED, reason="ApprovalDenied", message=reason)
        case ApprovalState.EXPIRED if reason == "Withdrawn":
            return replace(record, state=StepState.CANCELLED, reason="RunStopped")
        case ApprovalState.EXPIRED:
            return replace(
                record, state=StepState.FAILED, reason="ApprovalExpired", message="nobody agreed in time"
            )


def _deadline(step: Step) -> int:
    if step.timeout is None:
        return DEADLINE
    return max(1, min(int(parse_duration(step.timeout).total_seconds()), LONGEST))


def _cut(text: str) -> str:
    """As much of an answer as a run keeps; the task has all of it."""
    return text[: MAX_RESULT // 8]


def _why(view: TaskView) -> str:
    return view.message[:300]
