"""The guard port: all that a guard may say to the controller. Every route but `token` needs its JWT."""

from datetime import datetime

from pydantic import AwareDatetime, Field

from cadre_api.protocol.base import Message, type_json
from cadre_api.protocol.messages import MessageView
from cadre_api.protocol.tasks import ApprovalState, Evaluation, Usage


class TokenRequest(Message):
    """POST /guard/v1/token: trade an identity proof for a JWT bound to this instance."""

    bootstrap: str
    """Desktop: the secret the supervisor gave it. Cluster: the projected ServiceAccount token."""
    agent: str
    instance: str
    """Pod UID, or a random id per process start on a desktop: a new one takes over the leases of the old."""
    guard_version: str = "0"


class TokenResponse(Message):
    """A JWT, at most 30 minutes."""

    token: str
    expires_at: datetime
    bundle_key: type_json
    """JWK (OKP/Ed25519) that signs bundles."""
    analyzer_token: str = ""
    """For the analyzer of the machine, and worthless here."""


class VerificationKeys(Message):
    """GET /guard/v1/jwks: keys by which others know our tokens (RFC 7517)."""

    keys: tuple[type_json, ...]


class GuardTerm(Message):
    """A name from the chart that counts as an entity wherever it occurs."""

    text: str
    entity_type: str
    until: AwareDatetime | None = None
    """When it stops to count, for what a person ruled; None = as long as the bundle."""


class GuardRecognizer(Message):
    """A tenant's own recognizer: a pattern (RE2 syntax), terms, or both."""

    name: str
    pattern: str = ""
    entity: str
    data_class: str = ""
    """Empty = the class of the entity type."""
    terms: tuple[str, ...] = ()
    checksum: str = ""
    """Empty, or Luhn | Card | Iban | Mod97."""
    context: tuple[str, ...] = ()
    score: float = 0.95


class GuardRules(Message):
    """What this agent's guard does to text: the strictest of everything on the node's path."""

    mode: str = "Mask"
    """Disabled | Detect | Mask | Block."""
    entity_actions: dict[str, str] = {}
    """Entity type -> Disabled | Detect | Mask | Block, where it differs from `mode`."""
    entity_classes: dict[str, str] = {}
    """Data class of the entity types that only the tenant's own recognizers find."""
    thresholds: dict[str, float] = {}
    """Lowest score that counts, by entity type, where it is not the default."""
    recognizers: tuple[GuardRecognizer, ...] = ()
    allow_list: tuple[str, ...] = ()
    deny_list: tuple[str, ...] = ()
    terms: tuple[GuardTerm, ...] = ()
    added: tuple[GuardTerm, ...] = ()
    """Findings that a person added for a time: values that count as the type wherever they stand."""
    released: tuple[GuardTerm, ...] = ()
    """Findings that a person released for a time: values that are none; an empty type means of any type."""
    languages: tuple[str, ...] = ("en",)
    language_model: bool = True
    """Whether names in doubt are put to a language model."""


class BundleTool(Message):
    """A tool the agent may see: what the guard's MCP endpoint lists."""

    name: str
    """As the agent sees it, unique in the bundle: `<entry>_<tool>`, e.g. `ledger_post_entry`."""
    server: str
    """`namespace/name` of the ToolServer, or `builtin:Mesh`."""
    tool: str
    description: str = ""
    input_schema: type_json = {"type": "object"}
    read_only: bool = False


class AgentBundle(Message):
    """An agent's whole effective configuration, signed by the controller (JWS, EdDSA over this as JSON)."""

    version: int = 1
    agent: str
    tenant: str
    generation: int
    """Rises with every change; a guard refuses one lower than it has seen."""
    digest: str
    issued_at: datetime
    expires_at: datetime
    node_path: tuple[str, ...]
    title: str = ""
    instructions: str = ""
    hints: tuple[str, ...] = ()
    tools: tuple[BundleTool, ...] = ()
    goose_extensions: dict[str, tuple[str, ...]] = {}
    """Opted-in goose extension -> allowed tool names."""
    model_alias: str = "cadre-work"
    context_window: int = 128_000
    clearance: tuple[str, ...] = ()
    """Data classes restored inside the agent container."""
    guard: GuardRules = GuardRules()
    concurrency: int = 1
    turn_timeout_seconds: int = 1800
    lifecycle: str = "Running"
    runtime_command: tuple[str, ...] = ()
    """Empty = goose; else the command of another ACP agent (stdio)."""


class BundleResponse(Message):
    """GET /guard/v1/bundle?after=<generation>&wait=<s>: long poll, 204 when nothing newer."""

    jws: str


class BundleAck(Message):
    """POST /guard/v1/bundle/ack."""

    generation: int
    digest: str
    applied: bool
    reason: str = ""


class ClaimRequest(Message):
    """POST /guard/v1/claims: long poll for work."""

    capacity: int = Field(ge=1, le=100)
    wait_seconds: float = Field(default=25, ge=0, le=60)
    messages: int = Field(default=0, ge=0, le=100)
    """How many messages it takes; 0 = they come as shards of the next task."""


class Lease(Message):
    """Work handed out once; every later call about it carries `fence`."""

    task_id: str
    session_id: str
    fence: int
    attempt: int
    prompt: str
    """Masked."""
    context: dict[str, str] = {}
    shards: tuple["ShardView", ...] = ()
    """Earlier context this agent may see, masked with tokens of its own session."""
    expires_at: datetime
    deadline_at: datetime
    traceparent: str = ""


class ShardView(Message):
    """A part of a session's context that one party may see."""

    id: str
    author: str
    data_class: str
    text: str


class ClaimResponse(Message):
    """Leases, possibly none; `cancelled` names tasks of this guard that were cancelled meanwhile."""

    leases: tuple[Lease, ...] = ()
    cancelled: tuple[str, ...] = ()
    messages: tuple[MessageView, ...] = ()
    """In order; each comes again unless acknowledged within two lease times (30 s)."""


class Heartbeat(Message):
    """POST /guard/v1/leases/{taskId}/heartbeat, at least every `ttl / 3`."""

    fence: int


class HeartbeatResponse(Message):
    """409 LeaseLost instead when the fence is stale."""

    expires_at: datetime
    cancelled: bool = False


class Completion(Message):
    """POST /guard/v1/leases/{taskId}/complete | /fail. Repeating it with the same fence has no effect."""

    fence: int
    result: str = Field(default="", max_length=1_000_000)
    """Masked."""
    reason: str = ""
    """On failure, CamelCase: ModelUnavailable, ModelGarbage, AgentCrashed, TurnTimeout, PolicyDenied …"""
    message: str = ""
    """Masked."""
    retryable: bool = True


class IssueItem(Message):
    """A value to be replaced."""

    entity_type: str
    value: str = Field(min_length=1, max_length=100_000)


class IssueRequest(Message):
    """POST /guard/v1/pseudonyms/issue: tokens for values this guard found, in one batch."""

    session_id: str
    items: tuple[IssueItem, ...] = Field(max_length=2000)


class IssueResponse(Message):
    """In the order of the items."""

    tokens: tuple[str, ...]


class RestoreRequest(Message):
    """POST /guard/v1/pseudonyms/restore: values of this session's tokens, within the agent's clearance."""

    session_id: str
    tokens: tuple[str, ...] = Field(max_length=2000)


class RestoreResponse(Message):
    """Only what is permitted; the rest is silently absent and stays a token."""

    values: dict[str, str]


class ToolDecisionRequest(Message):
    """POST /guard/v1/tools/decide: the early, friendly gate behind an ACP permission request."""

    task_id: str
    session_id: str
    fence: int
    tool_call_id: str
    name: str
    """Bundle tool name."""
    arguments: type_json
    """Masked; the controller restores them to the form delivered to the tool server before it decides."""


class ToolCallRequest(ToolDecisionRequest):
    """POST /guard/v1/tools/call: decides again, writes the intent, calls the server, records once."""


class ToolCallResponse(Message):
    """`content` is masked MCP content (list of blocks)."""

    evaluation: Evaluation
    content: tuple[type_json, ...] = ()
    structured_content: type_json | None = None
    is_error: bool = False
    replayed: bool = False
    """The recorded result of an earlier identical call of this task: nothing was executed now."""


class ApprovalWait(Message):
    """GET /guard/v1/approvals/{id}?wait=<s>."""

    id: str
    state: ApprovalState
    reason: str = ""


class GuardEvent(Message):
    """POST /guard/v1/events (batch): facts for the audit and the task's story; never a value."""

    id: str
    """Chosen by the guard: repeating an event has no effect."""
    at: datetime
    task_id: str = ""
    session_id: str = ""
    action: str
    """`guard.mask`, `guard.restore`, `guard.block`, `model.turn`, `acp.permission`, `agent.restart` …"""
    result: str = "ok"
    redactions: dict[str, int] = {}
    """Entity type -> count."""
    duration_ms: float | None = None
    data: type_json = {}


class GuardEvents(Message):
    """At most 500 a call."""

    events: tuple[GuardEvent, ...] = Field(max_length=500)


class GuardStatus(Message):
    """POST /guard/v1/status: what holds on this host and how the agent is."""

    instance: str
    state: str
    """Starting | Idle | Busy | Draining | Failed."""
    agent_version: str = ""
    boundary: dict[str, bool] = {}
    """network, mount, pid, ipc, user: which namespaces really isolate the agent."""
    bundle_generation: int = 0
    reason: str = ""


class TurnUsage(Message):
    """What the guard saw of one turn's model calls."""

    task_id: str
    usage: Usage
