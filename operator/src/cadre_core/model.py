"""The compiled chart: plain frozen values that operator, controller, desktop mode and tests all share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from cadre_api.protocol.base import Effect
from cadre_core.workflow.definition import Definition


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the input: where it is, why, and the fix."""

    resource: str
    """`Kind namespace/name`."""
    field: str
    reason: str
    message: str
    fix: str = ""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Absence:
    """A span in which somebody else decides; `until` exclusive."""

    start: datetime
    until: datetime
    delegate: str = ""


@dataclass(frozen=True, slots=True)
class PersonSpec:
    """A human of the chart."""

    key: str
    issuer: str
    subject: str
    display_name: str
    email: str
    clearance: frozenset[str]
    absences: tuple[Absence, ...] = ()


@dataclass(frozen=True, slots=True)
class Membership:
    """A person's roles at one node."""

    person: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class BudgetSpec:
    """A node's cap per period; None = no cap of that sort."""

    period: str
    amount: Decimal | None
    currency: str
    tokens: int | None
    warn_at_percent: int
    on_exceeded: str


@dataclass(frozen=True, slots=True)
class Node:
    """A place in the chart. `path` runs from the root to the node itself, keys `namespace/name`."""

    key: str
    type: str
    title: str
    path: tuple[str, ...]
    members: tuple[Membership, ...]
    locale: Mapping[str, object]
    budget: BudgetSpec | None = None
    running: int | None = None
    """Most tasks at the same time in this subtree; None = not limited here."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model at a provider."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class EffectiveTool:
    """A tool that the profile lists and nothing on the path takes away."""

    name: str
    """As the agent sees it: `<entry>_<tool>`."""
    server: str
    """ToolServer key, `builtin:Mesh`, or `goose:<extension>`."""
    tool: str
    description: str
    effects: str
    idempotent: bool
    input_schema: Mapping[str, object]
    clearance: frozenset[str]
    """Data classes its server may receive restored."""


DEFAULT_THRESHOLD = 0.35
"""Lowest score of a finding that counts where nobody says otherwise; a higher one finds less."""


@dataclass(frozen=True, slots=True, order=True)
class RecognizerSpec:
    """A recognizer of the tenant's own."""

    name: str
    entity: str
    data_class: str
    pattern: str = ""
    terms: tuple[str, ...] = ()
    checksum: str = ""
    context: tuple[str, ...] = ()
    score: float = 0.95


@dataclass(frozen=True, slots=True)
class GuardSpec:
    """The strictest guard rules on the path."""

    mode: str
    entity_actions: Mapping[str, str]
    recognizers: tuple[RecognizerSpec, ...]
    allow_list: tuple[str, ...]
    deny_list: tuple[str, ...]
    clearance: frozenset[str]
    entity_classes: Mapping[str, str] = field(default_factory=dict)
    """Data class of the entities that only the tenant's own recognizers find."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Lowest score that counts, by entity type, where it is not the default."""
    language_model: bool = True


@dataclass(frozen=True, slots=True)
class Recipe:
    """A parametrised task template of a profile."""

    name: str
    title: str
    prompt: str
    parameters: Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class EffectiveAgent:
    """Everything that is true of one agent once chart, profiles and policies are applied."""

    key: str
    tenant: str
    node: str
    path: tuple[str, ...]
    profile: str
    profile_lineage: tuple[str, ...]
    """The profile and everything it inherits, nearest first."""
    owner: str
    purpose: str
    title: str
    instructions: str
    hints: tuple[str, ...]
    skills: Mapping[str, tuple[str, ...]]
    """Skill -> tags."""
    recipes: Mapping[str, Recipe]
    tools: tuple[EffectiveTool, ...]
    goose_extensions: Mapping[str, tuple[str, ...]]
    models: Mapping[str, tuple[ModelChoice, ...]]
    guard: GuardSpec
    locale: Mapping[str, object]
    concurrency: int
    lifecycle: str
    runtime_command: tuple[str, ...]
    rights_hash: str
    """sha256 over the canonical effective rights: what consent is bound to."""
    needs_consent: bool = False
    consent: str = "Head"
    """Whose consent the node asks for: Never | Head | Approver."""
    retention: Mapping[str, int] = field(default_factory=dict)
    """transcriptDays, artifactDays: the shortest on the path."""


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """How an approval is asked for."""

    by: str
    role: str
    person: str
    quorum: int
    separation_of_duties: bool
    timeout_seconds: int
    on_timeout: str
    node: str = ""
    """Node where the reporting line starts; empty = the node of the agent that asks."""
    always_uses: int = 0
    """Most calls that one approval may let through; 0 = each call asks."""
    always_seconds: int = 0
    """How long one approval may reach at most."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled policy rule."""

    id: str
    """`<tenant>/<policy>#<rule>`."""
    effect: Effect
    actions: frozenset[str]
    targets: tuple[tuple[str, str], ...]
    """(node key, Node | Subtree): where the policy applies."""
    subjects: tuple[tuple[str, str], ...]
    resources: tuple[Mapping[str, object], ...]
    when: str
    approval: ApprovalRule | None
    enforced: bool
    message: str = ""
    """Said to whoever is refused or asked."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A model provider as the gateway needs it."""

    key: str
    dialect: str
    """openai | anthropic | gemini | ollama."""
    base_url: str
    credential: Mapping[str, str]
    """Reference only: {secret, key} or {vault path, field}; empty = none."""
    models: Mapping[str, Mapping[str, object]]
    """Model -> {contextWindow, price{currency,inputPerMillion,outputPerMillion}, purposes}."""
    requests_per_minute: int
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class ToolServerSpec:
    """A tool server as the gateway needs it."""

    key: str
    url: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    clearance: frozenset[str]
    credential: Mapping[str, str]
    tools: Mapping[str, EffectiveTool]
    secret_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Environment variable -> {secret, key}: put in by whoever starts the server."""
    requests_per_minute: int = 0
    timeout_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a whole tenant, compiled."""

    tenant: str
    root: str
    revision: str
    """sha256 over the canonical resources, order-independent."""
    nodes: Mapping[str, Node]
    persons: Mapping[str, PersonSpec]
    agents: Mapping[str, EffectiveAgent]
    rules: tuple[Rule, ...]
    providers: Mapping[str, Provider]
    tool_servers: Mapping[str, ToolServerSpec]
    profiles: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Profile key -> merged view (for the directory)."""
    retention: Mapping[str, int] = field(default_factory=dict)
    workflows: Mapping[str, Definition] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CompileResult:
    """A snapshot, or why there is none. Problems of one agent never hide the others."""

    snapshot: Snapshot | None
    problems: tuple[Problem, ...]
