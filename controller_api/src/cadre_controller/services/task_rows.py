"""Tasks and their stories: from rows to the wire's models, masked as stored."""

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from cadre_api.protocol.tasks import RouteResult, TaskEvent, TaskState, TaskView, Usage
from cadre_controller.services.models import HeldTask
from cadre_controller.store.pool import Row
from cadre_core.canonical import digest

FINAL = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.DEAD})


def task_view(row: Row) -> TaskView:
    """A task for the wire."""
    usage = Usage(
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        model_calls=row["model_calls"],
        cost=format(row["cost"], "f"),
        currency=row["currency"],
    )
    return TaskView(
        id=row["id"],
        tenant=row["tenant"],
        state=TaskState(row["state"]),
        agent=row["agent"],
        requester=row["requester"],
        session_id=row["session_id"],
        parent_task_id=row["parent_task_id"],
        prompt=row["prompt"],
        result=row["result"],
        reason=row["reason"],
        message=row["message"],
        attempt=row["attempt"],
        priority=row["priority"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        deadline_at=row["deadline_at"],
        trace_id=row["trace_id"],
        usage=usage,
        route=RouteResult.model_validate(row["route"]) if row["route"] is not None else None,
        pending_approval=row["pending_approval"],
        not_before=row["available_at"] if row["available_at"] > row["updated_at"] else None,
        group_id=row["group_id"],
        schedule_id=row["schedule_id"],
    )


def fresh_view(
    *,
    task_id: str,
    tenant: str,
    agent: str,
    requester: str,
    session_id: str,
    parent_task_id: str,
    prompt: str,
    priority: int,
    now: datetime,
    deadline: datetime,
    trace_id: str,
    route: RouteResult,
    state: TaskState,
    approval: str,
    not_before: datetime | None,
    group_id: str,
    schedule_id: str,
) -> TaskView:
    """The view of a task that is about to be committed."""
    return TaskView(
        id=task_id,
        tenant=tenant,
        state=state,
        agent=agent,
        requester=requester,
        session_id=session_id,
        parent_task_id=parent_task_id,
        prompt=prompt,
        priority=priority,
        created_at=now,
        updated_at=now,
        deadline_at=deadline,
        trace_id=trace_id,
        route=route,
        pending_approval=approval,
        not_before=not_before,
        group_id=group_id,
        schedule_id=schedule_id,
    )


def remembered(view: TaskView) -> dict[str, object]:
    """What an idempotency key keeps of the first answer: all but the route, which stands with the task."""
    return view.model_dump(mode="json", by_alias=True, exclude={"route"}, exclude_defaults=True)


def explained(route: RouteResult) -> dict[str, object]:
    """The routing decision for the story: who, why, and what spoke against the others."""
    return {
        "agent": route.agent,
        "agents": list(route.agents),
        "reason": route.reason,
        "total": route.total,
        "rejected": route.rejected,
        "candidates": [
            {
                "agent": candidate.agent,
                "eligible": candidate.eligible,
                "score": str(candidate.score),
                "terms": {t.name: t.note or str(t.score) for t in candidate.terms if not t.ok or t.score},
            }
            for candidate in route.candidates
        ],
    }


def in_short(story: Mapping[str, object]) -> dict[str, object]:
    """A story's routing decision for the audit: the story it goes with is bound by its digest."""
    candidates = cast("list[dict[str, object]]", story["candidates"])
    return {
        "agent": story["agent"],
        "reason": story["reason"],
        "scores": {str(c["agent"]): c["score"] for c in candidates if c["eligible"]},
        "rejected": story["rejected"],
        "explanation": digest(story),
    }


def event_view(row: Row) -> TaskEvent:
    """A line of the story."""
    return TaskEvent(
        seq=row["seq"],
        at=row["at"],
        task_id=row["task_id"],
        kind=row["kind"],
        summary=row["summary"],
        data=row["data"],
        duration_ms=row["duration_ms"],
    )


def is_first_of_group(row: Row) -> bool:
    """Whether its success makes the others of its fan-out superfluous."""
    return bool(row["group_id"].startswith("first_"))


def held_task(row: Row) -> HeldTask:
    """A leased task for the gateways."""
    return HeldTask(
        id=row["id"],
        tenant=row["tenant"],
        session_id=row["session_id"],
        agent=row["agent"],
        requester=row["requester"],
        attempt=row["attempt"],
        fence=row["fence"],
        traceparent=row["traceparent"],
        trace_id=row["trace_id"],
        depth=row["depth"],
        parent_task_id=row["parent_task_id"],
        pending_approval=row["pending_approval"],
        root_task_id=row["root_task_id"],
    )
