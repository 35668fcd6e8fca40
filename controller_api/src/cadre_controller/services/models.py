"""What services take and give where the wire's own models do not fit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Generic, TypeVar

from cadre_api.protocol.base import type_json
from cadre_api.protocol.tasks import ApprovalView, TaskView
from cadre_core.model import ApprovalRule, Problem, Snapshot
from cadre_core.plan import AgentChange
from cadre_core.policy.decide import PolicyProgram
from cadre_core.route_index import RouteIndex

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class LiveChart:
    """The chart in force for one tenant, with its policies ready to decide."""

    snapshot: Snapshot
    program: PolicyProgram
    index: RouteIndex
    persons_by_id: Mapping[str, str] = field(default_factory=dict)
    """Opaque person id -> chart key."""


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What an apply did, or would do when it was dry."""

    tenant: str
    revision: str
    agents: tuple[str, ...]
    changed: bool
    changes: tuple[AgentChange, ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What a chart would change; `changes` is empty when it does not compile."""

    changes: tuple[AgentChange, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Schedule:
    """A task that comes again."""

    id: str
    name: str
    state: str
    """Active | Paused."""
    cron: str
    time_zone: str
    owner: str
    """`person:<opaque>`."""
    next_at: datetime
    last_at: datetime | None
    last_task: str
    last_reason: str
    """Why the last run made no task; empty = it did."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Created:
    """A task, and whether an earlier request with the same key made it."""

    view: TaskView
    replayed: bool


@dataclass(frozen=True, slots=True)
class ParentTask:
    """The task on whose behalf a child is created."""

    task_id: str
    session_id: str
    agent: str
    requester: str
    """Requester of the root of the tree: `person:<opaque>`."""
    trace_id: str
    root_task_id: str
    traceparent: str = ""
    depth: int = 0


@dataclass(frozen=True, slots=True)
class HeldTask:
    """A task whose lease the caller holds right now (fence checked)."""

    id: str
    tenant: str
    session_id: str
    agent: str
    requester: str
    attempt: int
    fence: int
    traceparent: str
    trace_id: str
    depth: int
    parent_task_id: str
    pending_approval: str
    root_task_id: str

    def as_parent(self) -> ParentTask:
        """This task as the parent of a new one."""
        return ParentTask(
            self.id,
            self.session_id,
            self.agent,
            self.requester,
            self.trace_id,
            self.root_task_id,
            self.traceparent,
            self.depth,
        )


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A page of a listing; `next` is empty at the end."""

    items: tuple[Item, ...]
    next: str = ""


@dataclass(frozen=True, slots=True)
class ToolApprovalRequest:
    """A held tool call: one approval per task, tool, arguments hash and ordinal, so that it covers one
    effect.
    """

    tool: str
    """`server/tool`."""
    arguments: type_json
    """Masked, as the agent sent them."""
    arguments_hash: str
    rules: tuple[tuple[str, ApprovalRule], ...]
    """Every rule that asked; all must be met."""
    reason: str = ""
    ordinal: int = 1
    """Which of the task's equal calls this is."""


class IntentKind(StrEnum):
    """What a tool call finds when it announces itself."""

    NEW = "New"
    """Committed as Started by this very call: execute it."""
    RECORDED = "Recorded"
    """Executed before: answer with the recorded result."""
    CUT = "Cut"
    """Started by a call that is gone: execute again only if the tool is idempotent, else
    `outcome_unknown`."""
    IN_FLIGHT = "InFlight"
    """The same call runs in this process right now: `wait` for it."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered, masked."""

    content: tuple[type_json, ...] = ()
    structured_content: type_json | None = None
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """One announced tool call."""

    kind: IntentKind
    tenant: str
    task_id: str
    tool: str
    arguments_hash: str
    ordinal: int
    idempotency_key: str
    result: ToolResult | None = None


@dataclass(frozen=True, slots=True)
class ModelCall:
    """What a model call is going to cost at most."""

    tenant: str
    agent: str
    task_id: str
    session_id: str
    call_id: str
    provider: str
    model: str
    purpose: str
    amount: Decimal
    tokens: int
    trace_id: str = ""
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room held in every budget on the path; settle or release it."""

    tenant: str
    task_id: str
    call_id: str


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What the call really used."""

    input_tokens: int
    output_tokens: int
    cost: Decimal
    currency: str = "USD"
    latency_ms: float = 0.0
    result: str = "ok"


class BudgetVerdict(StrEnum):
    """How much of the tightest budget on the path is gone."""

    OK = "Ok"
    WARN = "Warn"
    DOWNSHIFT = "Downshift"
    LOCAL_ONLY = "LocalOnly"
    STOP = "Stop"


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A node's budget in its current period."""

    node: str
    period_start: datetime
    amount: Decimal | None
    currency: str
    tokens: int | None
    spent: Decimal
    reserved: Decimal
    tokens_spent: int
    tokens_reserved: int
    told: str = ""
    """The gravest verdict that its heads have been told."""


@dataclass(frozen=True, slots=True)
class Span:
    """One operation of a trace (OpenTelemetry, W3C ids in hex); attributes hold no value of a user."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    start: datetime
    end: datetime
    status: str = "Unset"
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A link of the chain exactly as stored."""

    seq: int
    prev_hash: str
    hash: str
    canonical: bytes


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as stored: masked."""

    id: str
    tenant: str
    state: str
    created_by: str
    created_at: datetime
    parent_session_id: str
    participants: tuple[str, ...]
    """`person:<opaque>` | `agent:<key>`."""
    shards: tuple["Shard", ...]
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a session's context."""

    id: str
    session_id: str
    author: str
    data_class: str
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StatusView:
    """A task or session with everything that hangs on it."""

    id: str
    state: str
    session: SessionView
    tasks: tuple[TaskView, ...]
    approvals: tuple[ApprovalView, ...]


@dataclass(frozen=True, slots=True)
class LiveAgent:
    """What a guard last said about its agent."""

    agent: str
    instance: str
    state: str
    agent_version: str
    boundary: Mapping[str, bool]
    bundle_generation: int
    reason: str
    seen_at: datetime
    queued: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent of the chart with its live state."""

    key: str
    node: str
    profile: str
    title: str
    purpose: str
    owner: str
    lifecycle: str
    live: LiveAgent | None
    frozen: str = ""
    """Why it is frozen; empty = it is not."""
    queued: int = 0
    """Work that waits for it, whether or not it was ever seen."""
