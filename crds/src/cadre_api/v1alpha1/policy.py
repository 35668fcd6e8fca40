"""Policy: who may do what with what, who must approve, and how private data is treated at a node."""

import re
import warnings
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cadre_api.data_classes import DataClass, GuardMode
from cadre_api.schema import (
    ApiModel,
    Column,
    Crd,
    ListMap,
    ListSet,
    Rule,
    at_least_one_of,
    exactly_one_of,
    only_with,
)
from cadre_api.v1alpha1.common import (
    ApprovalBy,
    Builtin,
    Cel,
    Days,
    Duration,
    EntityType,
    GuardClasses,
    GuardEntities,
    LongText,
    MemberRole,
    ModelName,
    Name,
    ObjectRef,
    OnTimeout,
    Resource,
    Scope,
    Status,
    ToolName,
)

_BACK_REFERENCE = re.compile(r"\\[1-9]")
_ESCAPE_OR_CLASS = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:[a-z]+:\]|[^\]\\])*\]")
_NOT_RE2 = re.compile(r"\(\?(?:[=!>(]|<[=!]|P=)|[*+?}]\+")


class Effect(StrEnum):
    """What a matching rule does: Deny beats RequireApproval beats Allow."""

    ALLOW = "Allow"
    DENY = "Deny"
    REQUIRE_APPROVAL = "RequireApproval"


class Action(StrEnum):
    """Everything that is decided by policy."""

    ROUTE_TASK = "RouteTask"
    SEND_MESSAGE = "SendMessage"
    CALL_TOOL = "CallTool"
    USE_MODEL = "UseModel"
    READ_DATA = "ReadData"
    HAND_OFF = "HandOff"
    DECIDE_APPROVAL = "DecideApproval"
    EXPORT_AUDIT = "ExportAudit"
    WRITE_STATE = "WriteState"
    EGRESS = "Egress"


class Locality(StrEnum):
    """Where a model runs; derived from the admins' list of hosts, never declared by the provider."""

    LOCAL = "Local"
    CLOUD = "Cloud"


class Enforcement(StrEnum):
    """Whether decisions count."""

    ENFORCE = "Enforce"
    DRY_RUN = "DryRun"


class Target(ApiModel):
    """A part of the chart that the policy governs."""

    node_ref: ObjectRef
    """The node."""
    scope: Scope = Scope.SUBTREE
    """Node alone or its Subtree. Default: Subtree."""


class Subject(ApiModel):
    """Who acts; exactly one of the references is set."""

    validations = (
        exactly_one_of("node_ref", "agent_ref", "profile_ref", "person_ref"),
        only_with("scope", "node_ref"),
    )

    node_ref: ObjectRef | None = None
    """Agents and people of a node. Default: not set."""
    scope: Scope | None = None
    """Beside nodeRef: Node alone or its Subtree. Default: Subtree."""
    agent_ref: ObjectRef | None = None
    """One agent. Default: not set."""
    profile_ref: ObjectRef | None = None
    """All agents of a role. Default: not set."""
    person_ref: ObjectRef | None = None
    """One person. Default: not set."""


class PolicyResource(ApiModel):
    """What is acted on; exactly one of the members is set, `tools`, `models` and `scope` refine it."""

    validations = (
        exactly_one_of(
            "tool_server_ref",
            "builtin",
            "goose_extension",
            "provider_ref",
            "locality",
            "node_ref",
            "agent_ref",
            "host",
        ),
        only_with("tools", "tool_server_ref", "builtin", "goose_extension"),
        only_with("models", "provider_ref"),
        only_with("scope", "node_ref"),
    )

    tool_server_ref: ObjectRef | None = None
    """Tools of a ToolServer. Default: not set."""
    builtin: Builtin | None = None
    """Cadre's own tools: Mesh, Guard or Memory. Default: not set."""
    goose_extension: Name | None = None
    """Tools of an extension inside the agent's container. Default: not set."""
    tools: Annotated[tuple[ToolName, ...], Field(min_length=1, max_length=128), ListSet()] | None = None
    """Beside a source of tools: only these. Default: all of them."""
    provider_ref: ObjectRef | None = None
    """Models of a provider. Default: not set."""
    models: Annotated[tuple[ModelName, ...], Field(min_length=1, max_length=64), ListSet()] | None = None
    """Beside providerRef: only these. Default: all of them."""
    locality: Locality | None = None
    """Models by where they run: Local or Cloud. Default: not set."""
    node_ref: ObjectRef | None = None
    """Agents of a node, as receivers of tasks, messages and hand-offs. Default: not set."""
    scope: Scope | None = None
    """Beside nodeRef: Node alone or its Subtree. Default: Subtree."""
    agent_ref: ObjectRef | None = None
    """One agent as receiver. Default: not set."""
    host: Annotated[str, Field(max_length=253, pattern=r"^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")] | None = (
        None
    )
    """A host for Egress; `*.example.com` stands for all below it. Default: not set."""


class AllowAlways(ApiModel):
    """How far one yes may reach."""

    uses: Annotated[int, Field(ge=1, le=1000)]
    """Most calls that one approval lets through."""
    duration: Duration
    """How long at most."""


class Approval(ApiModel):
    """Who must agree, and by when."""

    by: ApprovalBy = ApprovalBy.REPORTING_LINE
    """ReportingLine: who holds `role` at the node, else at its parent, and so on. Default: ReportingLine."""
    role: MemberRole = MemberRole.HEAD
    """Role that decides. Default: Head."""
    node_ref: ObjectRef | None = None
    """Node where the reporting line starts. Default: the node of the agent that asks."""
    quorum: Annotated[int, Field(ge=1, le=10)] = 1
    """How many must agree; one refusal denies. Default: 1."""
    separation_of_duties: bool = True
    """Whether the owner of the agent and the author of the task are kept from deciding. Default: true."""
    timeout: Duration = "8h"
    """Time to decide, per level of the line. Default: 8h."""
    on_timeout: OnTimeout = OnTimeout.ESCALATE
    """Escalate to the next in the line (the top denies) or Deny. Default: Escalate."""
    allow_always: AllowAlways | None = None
    """Whether an approver may let further calls through, and how many. Default: each call asks."""


class PolicyRule(ApiModel):
    """One decision."""

    validations = (
        Rule(
            "has(self.approval) ? self.effect == 'RequireApproval' : true",
            "approval is only for effect RequireApproval",
            lambda r: r.approval is None or r.effect is Effect.REQUIRE_APPROVAL,
        ),
    )

    name: Name
    """Name of the rule, shown to whoever it stops and in the audit trail."""
    effect: Effect
    """Allow, Deny or RequireApproval."""
    actions: Annotated[tuple[Action, ...], Field(min_length=1, max_length=16), ListSet()]
    """What the rule is about, such as CallTool or UseModel."""
    subjects: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=32)] | None = None
    """Who acts. Default: everyone the policy's targets govern."""
    resources: Annotated[tuple[PolicyResource, ...], Field(min_length=1, max_length=32)] | None = None
    """What is acted on. Default: everything."""
    when: Cel | None = None
    """CEL condition over `args`, `data`, `subject`, `resource` and `task`; an error or a missing or
    mistyped value counts as a match for Deny and RequireApproval, never for Allow. Default: always."""
    approval: Approval | None = None
    """Who must agree, for RequireApproval. Default: the head in the reporting line within 8h."""
    message: LongText | None = None
    """Said to whoever is refused or asked. Default: the rule's name."""


def _is_re2(pattern: str) -> bool:
    """Whether the pattern compiles, needs nothing that RE2 lacks (look-around, back-references) and takes at
    least one character."""
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(pattern)
    except (re.error, OverflowError):
        return False
    if _BACK_REFERENCE.search(pattern.replace("\\\\", "")):
        return False
    if _NOT_RE2.search(_ESCAPE_OR_CLASS.sub("_", pattern)) is not None:
        return False
    with warnings.catch_warnings(action="ignore"):
        return re.search(pattern, "") is None


class Checksum(StrEnum):
    """Check digits that a recognizer's findings must have."""

    LUHN = "Luhn"
    """The digits pass Luhn's check (ISO/IEC 7812)."""
    CARD = "Card"
    """A payment card: Luhn, a known issuer and its length."""
    IBAN = "Iban"
    """An account number: its country's length and remainder 1 modulo 97 (ISO 13616)."""
    MOD97 = "Mod97"
    """Letters and digits with remainder 1 modulo 97 (ISO 7064)."""


Terms = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=256)], ...], Field(max_length=1024), ListSet()
]
OwnTerms = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=256)], ...],
    Field(min_length=1, max_length=1024),
    ListSet(),
]
Words = Annotated[
    tuple[Annotated[str, Field(min_length=2, max_length=64)], ...], Field(max_length=64), ListSet()
]


class Recognizer(ApiModel):
    """A company's own values for the guard: a pattern, a list of terms, or both."""

    validations = (
        at_least_one_of("pattern", "terms"),
        Rule(
            "!has(self.pattern) || !''.matches(self.pattern)",
            "pattern must be a valid RE2 expression (no look-around, no back-references) "
            "that does not match the empty text",
            lambda r: r.pattern is None or _is_re2(r.pattern),
        ),
    )

    name: Name
    """Name of the recognizer, shown in findings."""
    pattern: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """RE2 expression of the values to find, such as PRJ-\\d{5}. Default: none, then `terms` must be set."""
    terms: OwnTerms | None = None
    """Values to find, in any case, such as names of projects. Default: none."""
    checksum: Checksum | None = None
    """Check that a finding must pass: Luhn, Card, Iban or Mod97. Default: none."""
    context: Words = ()
    """Words of which one must stand within 80 characters of a finding. Default: none needed."""
    score_percent: Annotated[int, Field(ge=1, le=100)] = 95
    """How sure a finding is, compared with `thresholdPercent` of its entity. Default: 95."""
    entity: EntityType
    """Entity type of the findings, such as PROJECT."""
    data_class: DataClass = DataClass.INTERNAL
    """Data class of the findings, where the entity type is not a known one. Default: INTERNAL."""


class PolicyGuard(ApiModel):
    """How private data is treated in the targets; the strictest on a path wins."""

    mode: GuardMode | None = None
    """Disabled, Detect, Mask or Block. Default: not set, so the others on the path decide (Mask)."""
    entities: GuardEntities = ()
    """Actions by entity type. Default: none."""
    classes: GuardClasses = ()
    """Actions by data class, such as PHI: Block. Default: none."""
    recognizers: Annotated[tuple[Recognizer, ...], Field(max_length=64), ListMap("name")] = ()
    """Patterns of your own. Default: none."""
    allow_list: Terms = ()
    """Terms that are never masked, such as the company's name; counts as widening. Default: none."""
    deny_list: Terms = ()
    """Terms that are always treated as findings (type DENY_LIST). Default: none."""
    language_model: bool | None = None
    """Whether names in doubt are put to a small language model; without it the guard needs 100 MB less and
    finds fewer. Only the topmost policy on a path can switch it off. Default: true."""


class Retention(ApiModel):
    """How long things are kept in the targets; the shortest on a path wins, except for audit."""

    transcript_days: Days | None = None
    """Days that transcripts are kept. Default: 30."""
    artifact_days: Days | None = None
    """Days that artifacts are kept unless pinned. Default: 30."""
    audit_days: Annotated[int, Field(ge=90, le=36500)] | None = None
    """Days that audit events are kept; per tenant, so only on a policy of the root. Default: 90."""


class PolicySpec(ApiModel):
    """Set by the head of the parent of its targets or a tenant admin; deleting it counts as widening."""

    validations = (at_least_one_of("rules", "guard", "retention"),)

    targets: Annotated[tuple[Target, ...], Field(min_length=1, max_length=32)]
    """The parts of the chart that the policy governs."""
    rules: Annotated[tuple[PolicyRule, ...], Field(min_length=1, max_length=64), ListMap("name")] | None = (
        None
    )
    """Decisions: all that match count, Deny over RequireApproval over Allow. Default: none."""
    guard: PolicyGuard | None = None
    """Treatment of private data. Default: none, so the others on the path decide."""
    retention: Retention | None = None
    """How long things are kept. Default: none, so the others on the path decide."""
    enforcement: Enforcement = Enforcement.ENFORCE
    """Enforce, or DryRun: recorded but not applied, which counts as widening. Default: Enforce."""


class PolicyStatus(Status):
    """Whether the policy compiled; written by Cadre."""


class Policy(Resource):
    """Decisions, approvals, privacy and retention for a part of the org chart."""

    crd: ClassVar[Crd] = Crd(
        plural="policies",
        singular="policy",
        short_name="cdpolicy",
        columns=(
            Column("Target", ".spec.targets[0].nodeRef.name"),
            Column("Enforcement", ".spec.enforcement"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["Policy"] = "Policy"
    """Always Policy."""
    spec: PolicySpec
    """What is decided, and where."""
    status: PolicyStatus | None = None
    """What Cadre observed."""
