"""Bodies of the public port that are not part of the wire between our own programs."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from cadre_api.protocol.base import FieldProblem, Message, type_json
from cadre_api.protocol.tasks import (
    ApprovalState,
    ApprovalView,
    Evaluation,
    PermitView,
    TaskEvent,
    TaskState,
    TaskView,
)


class TokenGrant(Message):
    """A proof of who is asking."""

    grant: str
    """`desktop` (`secret`, `person`) or `kubernetes` (`code` or `token`)."""
    secret: str = Field(default="", max_length=4096)
    code: str = Field(default="", max_length=1024)
    """What the operator's admission answered to a dry run of signing in."""
    token: str = Field(default="", max_length=8192)
    """A bearer token of the cluster."""
    person: str = ""
    """Key or name of a person of the chart; empty = the tenant's administrator."""
    tenant: str = ""
    """Needed only where the controller holds several."""


class TokenIssued(Message):
    """A bearer token for the public port."""

    access_token: str
    expires_at: datetime
    person: str
    tenant: str


class Document(Message):
    """One YAML file."""

    file: str = Field(max_length=1024)
    text: str = Field(max_length=4_000_000)


class Documents(Message):
    """A chart: every file of it."""

    documents: tuple[Document, ...] = Field(max_length=2000)
    freezes_apart: bool = False
    """The writer says by `POST /api/v1/freeze/declared` what is frozen, sooner than a chart is applied."""

    def pairs(self) -> list[tuple[str, str]]:
        """(file, text)."""
        return [(document.file, document.text) for document in self.documents]


class ChangeView(Message):
    """What a chart changes for one agent."""

    agent: str
    change: str
    """Added | Removed | Widened | Narrowed | Changed | Same."""
    diff: tuple[str, ...] = ()


class Applied(Message):
    """The chart that is now in force, or would be."""

    tenant: str
    revision: str
    agents: tuple[str, ...]
    changed: bool
    changes: tuple[ChangeView, ...] = ()
    problems: tuple[FieldProblem, ...] = ()


class Planned(Message):
    """What a chart would change."""

    agents: tuple[ChangeView, ...]
    problems: tuple[FieldProblem, ...] = ()


class TaskQuery(Message):
    """Which tasks to list."""

    state: TaskState | None = None
    agent: str = ""
    group: str = ""
    """The tasks of one fan-out."""
    session: str = ""
    requester: str = ""
    """`person:<opaque id>` or `agent:<key>`."""
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str = ""


class TaskPage(Message):
    """Tasks, newest first; `next` is the cursor of the following page."""

    items: tuple[TaskView, ...]
    next: str = ""


class EventQuery(Message):
    """Which lines of a task's story."""

    after: int = Field(default=0, ge=0)
    tree: bool = False
    """Also the tasks that this one gave to others."""
    limit: int = Field(default=500, ge=1, le=5000)


class EventPage(Message):
    """Lines of a story in order."""

    items: tuple[TaskEvent, ...]


class ApprovalQuery(Message):
    """Which approvals to list."""

    state: ApprovalState | None = None
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str = ""


class ApprovalPage(Message):
    """Approvals, newest first."""

    items: tuple[ApprovalView, ...]
    next: str = ""


class PermitPage(Message):
    """Open permits, newest first."""

    items: tuple[PermitView, ...]


class ApprovalCreate(Message):
    """Ask a human about a step."""

    session_id: str
    step_id: str = Field(min_length=1, max_length=128)
    approver_role: str = "Head"
    payload: type_json = Field(default_factory=dict)


class SessionCreate(Message):
    """Who takes part, and what for."""

    participants: tuple[str, ...] = Field(min_length=1, max_length=50)
    """Agents as `namespace/name`, persons as `person:<key>`."""
    scope: str = Field(default="", max_length=20_000)
    """First shard of the session; masked before it is stored."""


class Handoff(Message):
    """To whom a session goes, with which of its shards."""

    to: str
    """Agent `namespace/name` or `person:<key>`."""
    shard_ids: tuple[str, ...] = ()
    """Empty = all."""


class ShardBody(Message):
    """One shard, restored within the reader's clearance."""

    id: str
    author: str
    data_class: str
    text: str
    created_at: datetime


class SessionBody(Message):
    """A session with what its reader may see."""

    id: str
    tenant: str
    state: str
    created_by: str
    created_at: datetime
    parent_session_id: str = ""
    participants: tuple[str, ...]
    shards: tuple[ShardBody, ...]
    tasks: tuple[str, ...]


class StatusBody(Message):
    """A task or session and everything that hangs on it."""

    id: str
    state: str
    session: SessionBody
    participants: tuple[str, ...]
    tasks: tuple[TaskView, ...]
    approvals: tuple[ApprovalView, ...]


class AuditQuery(Message):
    """Which audit events to list; all given conditions must hold."""

    after: int = Field(default=0, ge=0)
    limit: int = Field(default=200, ge=1, le=1000)
    action: str = ""
    target: str = ""
    actor_id: str = ""
    trace_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


class AuditRowBody(Message):
    """A link of the chain as stored."""

    seq: int
    prev_hash: str
    hash: str
    canonical: str


class AuditPage(Message):
    """Links of the chain in order."""

    items: tuple[AuditRowBody, ...]


class ExportQuery(Message):
    """From where to export, and as what."""

    after: int = Field(default=0, ge=0)
    format: Literal["ndjson", "csv"] = "ndjson"
    """ndjson can be verified; csv is for reading."""


class Checkpoint(Message):
    """A signed statement about the chain's head."""

    jws: str
    public_key: type_json


class AuditIngest(Message):
    """An event of another system for the chain."""

    id: str = Field(min_length=1, max_length=128)
    action: str = Field(min_length=1, max_length=128)
    target: str = Field(default="", max_length=512)
    result: str = Field(default="ok", max_length=128)
    data: type_json = Field(default_factory=dict)


class Ingested(Message):
    """False when the id was known: nothing was written again."""

    accepted: bool


class SpanBody(Message):
    """One operation of a trace."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    start: datetime
    end: datetime
    duration_ms: float
    status: str
    attributes: type_json


class TraceBody(Message):
    """Spans in order of their start."""

    items: tuple[SpanBody, ...]


class LiveBody(Message):
    """What an agent's guard last said."""

    instance: str
    state: str
    agent_version: str
    boundary: dict[str, bool]
    bundle_generation: int
    reason: str
    seen_at: datetime
    queued: int
    running: int


class AgentBody(Message):
    """An agent of the chart with its live state."""

    key: str
    node: str
    profile: str
    title: str
    purpose: str
    owner: str
    lifecycle: str
    live: LiveBody | None
    frozen: str = ""
    """Why it is frozen; empty = it is not."""
    queued: int = 0
    """Tasks that wait for it, whether or not it was ever seen."""


class AgentPage(Message):
    """All agents of the tenant."""

    items: tuple[AgentBody, ...]


class ObjectPage(Message):
    """Documents as applied."""

    items: tuple[type_json, ...]


class ObjectBody(Message):
    """One object of the directory."""

    item: type_json


class EvaluateBody(Message):
    """Would policy permit this?"""

    subject: str
    """Agent `namespace/name` or `person:<key>`."""
    action: str
    resource: type_json
    """{server, tool} | {provider, model} | {agent}."""
    args: type_json | None = None
    data_classes: tuple[str, ...] = ()


class Evaluated(Message):
    """The decision with its reasons."""

    evaluation: Evaluation


class Health(Message):
    """Whether the process lives, or serves."""

    status: str
    reason: str = ""
