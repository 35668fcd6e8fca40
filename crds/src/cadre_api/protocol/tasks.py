"""Tasks, leases, sessions and approvals as clients and guards see them."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from cadre_api.protocol.base import Effect, Message, Usd, type_json


class TaskState(StrEnum):
    """Life of a task; the last five are final except OutcomeUnknown, which waits for a person."""

    HELD = "Held"
    """A person must agree before it is queued."""
    QUEUED = "Queued"
    RUNNING = "Running"
    WAITING = "Waiting"
    """Holds for an approval or for another agent's task."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    DEAD = "Dead"
    """All attempts used up; kept for inspection and redrive."""
    OUTCOME_UNKNOWN = "OutcomeUnknown"


class FanOutMode(StrEnum):
    """What several agents that get one task are to do."""

    ALL = "All"
    """Everyone who may does it."""
    ANY_N = "AnyN"
    """The best `count` do it."""
    FIRST = "First"
    """The best `count` begin; the first result counts, and the others are cancelled."""


class FanOut(Message):
    """Give a task to several agents at once."""

    mode: FanOutMode
    count: int = Field(default=0, ge=0, le=100)
    """How many agents; 0 = everyone who may."""


class TaskCreate(Message):
    """POST /api/v1/tasks. The prompt is masked before anything is committed."""

    prompt: str = Field(min_length=1, max_length=200_000)
    agent: str = ""
    """Agent key `namespace/name` (or name alone): skips routing, not policy."""
    role: str = ""
    """RoleProfile name the agent must have, e.g. `finance`."""
    skills: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    """Any of these must be spoken, as BCP 47 tags."""
    data_residency: str = ""
    """Only agents whose locale keeps data there, e.g. `eu`."""
    exclude: tuple[str, ...] = ()
    """Agents `namespace/name` that must not get it."""
    fan_out: FanOut | None = None
    recipe: str = ""
    """Recipe of the chosen profile; `parameters` fill it and the prompt is appended."""
    parameters: dict[str, str] = {}
    session_id: str = ""
    context: dict[str, str] = {}
    priority: int = Field(default=0, ge=-100, le=100)
    deadline_seconds: int = Field(default=3600, ge=1, le=604_800)
    """Counted from `notBefore`, or from when it may be queued."""
    not_before: datetime | None = None
    """It waits until then; at most a year ahead."""
    max_attempts: int = Field(default=5, ge=1, le=20)
    dry_run: bool = False
    """Answer with routing, policy and a cost estimate; commit nothing."""


class RouteTerm(Message):
    """One filter or score term of one candidate, so that routing explains itself."""

    name: str
    ok: bool = True
    score: float = 0.0
    note: str = ""


class RouteCandidate(Message):
    """An agent that was considered and why it was (not) taken."""

    agent: str
    eligible: bool
    score: float = 0.0
    terms: tuple[RouteTerm, ...] = ()


class RouteResult(Message):
    """Who got the task and why."""

    agent: str = ""
    agents: tuple[str, ...] = ()
    """Everyone who got it, best first; more than one only with a fan-out."""
    candidates: tuple[RouteCandidate, ...] = ()
    """The best five, or those that came furthest; every filter and score term of each."""
    reason: str = ""
    total: int = 0
    """How many agents were considered."""
    rejected: dict[str, int] = {}
    """How many agents each filter stopped."""


class Usage(Message):
    """Tokens and money, as metered by the model gateway."""

    input_tokens: int = 0
    output_tokens: int = 0
    model_calls: int = 0
    cost: Usd = "0"
    currency: str = "USD"


class TaskView(Message):
    """A task as its users see it: `prompt` and `result` restored within the reader's clearance."""

    id: str
    tenant: str
    state: TaskState
    agent: str
    requester: str
    """`person:<opaque id>` or `agent:<key>`."""
    session_id: str
    parent_task_id: str = ""
    prompt: str = ""
    result: str = ""
    reason: str = ""
    """Why it is in this state when that is not plain: CamelCase."""
    message: str = ""
    attempt: int = 0
    priority: int = 0
    created_at: datetime
    updated_at: datetime
    deadline_at: datetime
    trace_id: str = ""
    usage: Usage = Usage()
    route: RouteResult | None = None
    pending_approval: str = ""
    not_before: datetime | None = None
    group_id: str = ""
    """Shared by the tasks of one fan-out."""
    schedule_id: str = ""


class TaskEvent(Message):
    """One line of a task's story (SSE `id` is `seq`); texts are masked, restored for the reader."""

    seq: int
    at: datetime
    task_id: str
    kind: str
    """Created Routed Leased Prompted ModelCalled ToolRequested Decided ApprovalRequested ApprovalDecided
    ToolCalled ToolReturned Masked Restored HandedOff Requeued Succeeded Failed Cancelled OutcomeUnknown …"""
    summary: str = ""
    data: type_json = {}
    duration_ms: float | None = None


class ApprovalState(StrEnum):
    """Decided once; a second decision has no effect."""

    PENDING = "Pending"
    APPROVED = "Approved"
    DENIED = "Denied"
    EXPIRED = "Expired"


class ApprovalKind(StrEnum):
    """What an approver is asked."""

    TOOL_CALL = "ToolCall"
    STEP = "Step"
    ROUTE_TASK = "RouteTask"
    """A task that policy lets in only with a person's consent."""
    OUTCOME_UNKNOWN = "OutcomeUnknown"
    """A non-idempotent effect was cut in the middle: Approve = run it again, Deny = do not."""


class ApprovalView(Message):
    """A request for a human's decision, bound to the hash of the exact arguments as delivered."""

    id: str
    tenant: str
    kind: ApprovalKind
    state: ApprovalState
    session_id: str
    task_id: str = ""
    step_id: str = ""
    agent: str = ""
    tool: str = ""
    """`server/tool`."""
    arguments: type_json = {}
    """Restored within the approver's clearance."""
    arguments_hash: str = ""
    edited: type_json | None = None
    """What an approver had the tool called with in place of `arguments`."""
    edited_hash: str = ""
    rules: tuple[str, ...] = ()
    """`<tenant>/<policy>#<rule>` of every rule that asked."""
    approvers: tuple[str, ...] = ()
    """Person keys who may decide now, nearest first."""
    quorum: int = 1
    votes: tuple["Vote", ...] = ()
    requested_at: datetime
    expires_at: datetime
    decided_at: datetime | None = None
    reason: str = ""


class Vote(Message):
    """One person's decision."""

    person: str
    decision: ApprovalState
    comment: str = ""
    at: datetime


class AlwaysAllow(Message):
    """Let the next calls of this tool by this agent through, too; bounded by the rules that asked."""

    uses: int = Field(ge=1, le=1000)
    seconds: int = Field(ge=1, le=2_592_000)
    session_only: bool = True
    """Only in this session; false = in all sessions of the agent."""


class PermitView(Message):
    """What was allowed once for several calls."""

    id: str
    approval_id: str
    person: str
    """`person:<opaque id>` who allowed it."""
    agent: str
    session_id: str = ""
    """Empty = every session of the agent."""
    tool: str
    uses_left: int
    expires_at: datetime


class DecisionCreate(Message):
    """POST /api/v1/approvals/{id}/decision."""

    decision: ApprovalState
    comment: str = Field(default="", max_length=2000)
    arguments_hash: str = ""
    """When given it must equal the approval's hash: proof of what was read."""
    arguments: type_json | None = None
    """Only with Approved: call the tool with these in place of those that were asked for."""
    always: AlwaysAllow | None = None
    """Only with Approved, and only as far as the rules' `allowAlways` goes."""


class Evaluation(Message):
    """A policy decision with its reasons."""

    effect: Effect
    rules: tuple[str, ...] = ()
    """Ids of the determining rules, `<tenant>/<policy>#<rule>`, or `profile:<name>` for an allowlist."""
    reason: str = ""
    """CamelCase: NotInProfile, DeniedByRule, ConditionError, SchemaMismatch, ApprovalRequired, Allowed …"""
    message: str = ""
    approval_id: str = ""
    edited: type_json | None = None
    """Arguments that an approver put in the place of a tool call's own, masked."""
