"""Cadre's public API, call by call, in the wire's own models."""

import secrets
import time
from collections.abc import Iterator, Sequence
from urllib.parse import quote, urlencode

from cadre_api.protocol.base import type_json
from cadre_api.protocol.tasks import (
    AlwaysAllow,
    ApprovalState,
    ApprovalView,
    DecisionCreate,
    PermitView,
    RouteResult,
    TaskCreate,
    TaskEvent,
    TaskView,
)
from cadre_api.protocol.workflows import ExecutionView, WorkflowView
from cadre_local.client.http import HttpClient
from cadre_local.client.patience import Patience
from cadre_local.client.sse import parse_events
from cadre_local.errors import CadreError

Documents = Sequence[tuple[str, str]]
STREAM_IDLE = 60.0
"""Seconds; the server sends a comment far more often than this."""


class CadreApi:
    """One person's view of a controller."""

    def __init__(self, http: HttpClient) -> None:
        self.http = http
        self.person = ""
        """Key of the person signed in; empty = administrator, or not known."""

    def log_in(self, secret: str, person: str, tenant: str = "") -> str:
        """Trade the desktop secret for a person's token (empty = tenant admin); returns who that is."""
        self.http.token = ""
        grant = {"grant": "desktop", "secret": secret, "person": person, "tenant": tenant}
        answer = self.http.json("POST", "/api/v1/auth/token", grant)
        self.http.token = str(answer["accessToken"])
        self.person = str(answer.get("person", ""))
        return self.person

    def apply(self, documents: Documents, *, dry_run: bool = False) -> type_json:
        """Put a chart in force, whole or not at all."""
        return self.http.json("POST", f"/api/v1/apply?dryRun={str(dry_run).lower()}", _documents(documents))

    def plan(self, documents: Documents) -> type_json:
        """What a chart would change for every agent."""
        return self.http.json("POST", "/api/v1/plan", _documents(documents))

    def create_task(self, task: TaskCreate, key: str = "") -> TaskView:
        """Submit; the same key never makes a second task."""
        headers = {"Idempotency-Key": key or secrets.token_hex(16)}
        return TaskView.model_validate(self.http.json("POST", "/api/v1/tasks", _body(task), headers))

    def route(self, task: TaskCreate) -> RouteResult:
        """Who would get it and why; commits nothing."""
        return RouteResult.model_validate(self.http.json("POST", "/api/v1/tasks/route", _body(task)))

    def task(self, task_id: str) -> TaskView:
        """One task."""
        return TaskView.model_validate(self.http.json("GET", f"/api/v1/tasks/{quote(task_id)}"))

    def tasks(self, state: str = "", agent: str = "", limit: int = 50) -> tuple[TaskView, ...]:
        """Newest first."""
        query = urlencode(
            {key: value for key, value in (("state", state), ("agent", agent), ("limit", limit)) if value}
        )
        return tuple(TaskView.model_validate(item) for item in self.items(f"/api/v1/tasks?{query}"))

    def cancel(self, task_id: str) -> TaskView:
        """Ask for its end."""
        return TaskView.model_validate(self.http.json("POST", f"/api/v1/tasks/{quote(task_id)}/cancel", {}))

    def events(self, task_id: str) -> tuple[TaskEvent, ...]:
        """The whole story so far, child tasks included."""
        path = f"/api/v1/tasks/{quote(task_id)}/events?tree=true"
        return tuple(TaskEvent.model_validate(item) for item in self.items(path))

    def watch(self, task_id: str, until: float | None = None) -> Iterator[TaskEvent]:
        """The story as it happens, until the stream ends or the monotonic time `until`.

        Survives a restart of the controller.
        """
        seen, patience = "", Patience()
        while until is None or time.monotonic() < until:
            try:
                for identifier, event in self._stream(task_id, seen, until, patience):
                    seen = identifier
                    yield event
                return
            except CadreError as error:
                patience.bear(error)

    def _stream(
        self, task_id: str, after: str, until: float | None, patience: Patience
    ) -> Iterator[tuple[str, TaskEvent]]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        path = f"/api/v1/tasks/{quote(task_id)}/events?tree=true"
        lines = map(patience.heard, self.http.lines(path, headers, STREAM_IDLE, until))
        for event in parse_events(lines):
            if event.data.startswith("{"):
                yield event.id, TaskEvent.model_validate_json(event.data)

    def approvals(self, state: str = "") -> tuple[ApprovalView, ...]:
        """Approvals this person may see."""
        query = f"?state={quote(state)}" if state else ""
        return tuple(ApprovalView.model_validate(item) for item in self.items(f"/api/v1/approvals{query}"))

    def approval(self, approval_id: str) -> ApprovalView:
        """One approval, by its id or a link's code, arguments restored within this person's clearance."""
        kind = "approval-links" if approval_id.startswith("apl_") else "approvals"
        return ApprovalView.model_validate(self.http.json("GET", f"/api/v1/{kind}/{quote(approval_id)}"))

    def decide(
        self,
        approval: ApprovalView,
        decision: ApprovalState,
        comment: str = "",
        always: AlwaysAllow | None = None,
        link: str = "",
        arguments: type_json | None = None,
    ) -> ApprovalView:
        """Decide exactly what was read, by a link if one is given, or with other arguments: the hash goes
        along."""
        body = _body(
            DecisionCreate(
                decision=decision,
                comment=comment,
                arguments_hash=approval.arguments_hash,
                arguments=arguments,
                always=always,
            )
        )
        path = (
            f"/api/v1/approval-links/{quote(link)}"
            if link
            else f"/api/v1/approvals/{quote(approval.id)}/decision"
        )
        return ApprovalView.model_validate(self.http.json("POST", path, body))

    def permits(self) -> tuple[PermitView, ...]:
        """What was allowed for several calls and still lets some through."""
        return tuple(PermitView.model_validate(item) for item in self.items("/api/v1/permits"))

    def revoke(self, permit_id: str) -> None:
        """Let nothing more through by a permit."""
        self.http.json("DELETE", f"/api/v1/permits/{quote(permit_id)}", {})

    def workflows(self) -> tuple[WorkflowView, ...]:
        """Workflows of the chart."""
        return tuple(WorkflowView.model_validate(item) for item in self.items("/api/v1/workflows"))

    def execute(self, workflow: str, parameters: type_json, key: str = "") -> ExecutionView:
        """Begin a run; the same key never begins a second one."""
        headers = {"Idempotency-Key": key or secrets.token_hex(16)}
        path = f"/api/v1/workflows/{quote(workflow, safe='')}/execute"
        return _execution(self.http.json("POST", path, {"parameters": parameters}, headers))

    def executions(self, workflow: str = "", state: str = "", limit: int = 50) -> tuple[ExecutionView, ...]:
        """Newest first."""
        given = {"workflow": workflow, "state": state, "limit": limit}
        query = urlencode({key: value for key, value in given.items() if value})
        return tuple(_execution(item) for item in self.items(f"/api/v1/executions?{query}"))

    def execution(self, execution_id: str) -> ExecutionView:
        """One run with its timeline."""
        return _execution(self.http.json("GET", f"/api/v1/executions/{quote(execution_id)}"))

    def cancel_execution(self, execution_id: str) -> ExecutionView:
        """Stop what runs and undo what is done."""
        return _execution(self.http.json("POST", f"/api/v1/executions/{quote(execution_id)}/cancel", {}))

    def retry_execution(self, execution_id: str, step: str) -> ExecutionView:
        """Run a step again, and all that depends on it."""
        path = f"/api/v1/executions/{quote(execution_id)}/retry"
        return _execution(self.http.json("POST", path, {"step": step}))

    def agents(self) -> tuple[type_json, ...]:
        """Agents with their live state."""
        return self.items("/api/v1/agents")

    def resources(self, kind: str) -> tuple[type_json, ...]:
        """Documents of a kind as applied."""
        return self.items(f"/api/v1/resources/{quote(kind)}")

    def spans(self, trace_id: str) -> tuple[type_json, ...]:
        """Spans of a trace, joined over all programs."""
        answer = self.http.json("GET", f"/api/v1/traces/{quote(trace_id)}")
        return _list(answer.get("items", answer.get("spans")))

    def items(self, path: str) -> tuple[type_json, ...]:
        """The `items` of a listing."""
        return _list(self.http.json("GET", path).get("items"))

    def ready(self) -> bool:
        """Whether the controller serves."""
        try:
            self.http.text("/ready")
        except CadreError:
            return False
        return True


def _execution(value: type_json) -> ExecutionView:
    return ExecutionView.model_validate(value)


def _list(value: object) -> tuple[type_json, ...]:
    return tuple(item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _documents(documents: Documents) -> type_json:
    return {"documents": [{"file": file, "text": text} for file, text in documents]}


def _body(message: TaskCreate | DecisionCreate) -> type_json:
    return message.model_dump(mode="json", by_alias=True, exclude_defaults=True)
