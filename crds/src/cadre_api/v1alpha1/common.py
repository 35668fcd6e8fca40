"""What all kinds share: scalars with their bounds, references, metadata and conditions."""

from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, JsonValue

from cadre_api.data_classes import DataClass, GuardMode
from cadre_api.schema import ApiModel, Crd, ListMap, ListSet, Rule, exactly_one_of
from cadre_api.units import DURATION_PATTERN, MONEY_PATTERN, QUANTITY_PATTERN

GROUP = "cadre.dev"
VERSION = "v1alpha1"
API_VERSION: Final = "cadre.dev/v1alpha1"

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
ENTITY_PATTERN = r"^[A-Z][A-Z0-9_]*$"


def _quantity_text(value: object) -> object:
    """Accept the integers that YAML makes of `cpu: 2`."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Name = Annotated[str, Field(min_length=1, max_length=63, pattern=NAME_PATTERN)]
Text = Annotated[str, Field(min_length=1, max_length=256)]
LongText = Annotated[str, Field(min_length=1, max_length=4096)]
Prompt = Annotated[str, Field(min_length=1, max_length=32768)]
Cel = Annotated[str, Field(min_length=1, max_length=2048)]
Url = Annotated[str, Field(max_length=2048, pattern=r"^https?://[^\s/?#]+[^\s]*$")]
Money = Annotated[str, Field(max_length=20, pattern=MONEY_PATTERN)]
Currency = Annotated[str, Field(max_length=3, pattern=r"^[A-Z]{3}$")]
Duration = Annotated[str, Field(max_length=32, pattern=DURATION_PATTERN)]
Days = Annotated[int, Field(ge=1, le=3650)]
Percent = Annotated[int, Field(ge=1, le=100)]
EntityType = Annotated[str, Field(max_length=63, pattern=ENTITY_PATTERN)]
ToolName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$")]
ModelName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$")]
Quantity = Annotated[
    str,
    Field(max_length=32, pattern=QUANTITY_PATTERN, json_schema_extra={"x-kubernetes-int-or-string": True}),
    BeforeValidator(_quantity_text),
]
JsonObject = dict[str, JsonValue]
Clearance = Annotated[tuple[DataClass, ...], Field(max_length=16), ListSet()]
Tags = Annotated[tuple[Name, ...], Field(max_length=32), ListSet()]


class Purpose(StrEnum):
    """What a model call is for; the spelling of the lists under `models`."""

    PLAN = "plan"
    WORK = "work"
    SUMMARIZE = "summarize"


class Scope(StrEnum):
    """How far a reference to a node reaches."""

    NODE = "Node"
    SUBTREE = "Subtree"


class MemberRole(StrEnum):
    """What a person may do at a node."""

    HEAD = "Head"
    MEMBER = "Member"
    APPROVER = "Approver"
    AUDITOR = "Auditor"
    AGENT_REQUESTER = "AgentRequester"


class ApprovalBy(StrEnum):
    """Where approvers are looked for."""

    REPORTING_LINE = "ReportingLine"


class OnTimeout(StrEnum):
    """What happens when nobody decides in time."""

    ESCALATE = "Escalate"
    DENY = "Deny"


class Builtin(StrEnum):
    """Tools that Cadre itself offers to agents."""

    MESH = "Mesh"
    GUARD = "Guard"
    MEMORY = "Memory"


class ParameterType(StrEnum):
    """Types of recipe and workflow parameters."""

    STRING = "String"
    INTEGER = "Integer"
    NUMBER = "Number"
    BOOLEAN = "Boolean"
    DATE = "Date"


class ObjectRef(ApiModel):
    """Points at another Cadre object by name."""

    name: Name
    """Name of the object."""
    namespace: Name | None = None
    """Namespace of the object; set it only where that namespace granted it. Default: the namespace of
    this object."""


class SecretKeyRef(ApiModel):
    """Points at one key of a Secret that opted in by label and lists the hosts it may be sent to."""

    name: Name
    """Name of the Secret in this namespace; in desktop mode the name in the encrypted keystore."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Key in the Secret that holds the value, such as `apiKey`."""


class VaultRef(ApiModel):
    """Points at one field of a Vault secret."""

    path: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\s]+$")]
    """Path in Vault's KV store, set by whoever keeps the credentials there."""
    field: Annotated[str, Field(min_length=1, max_length=253)]
    """Field of that secret which holds the value."""


class CredentialsRef(ApiModel):
    """Where a credential lives; exactly one of the members is set. The value itself is never in an object."""

    validations = (exactly_one_of("secret", "vault"),)

    secret: SecretKeyRef | None = None
    """A Kubernetes Secret, or an entry of the keystore in desktop mode. Default: not set."""
    vault: VaultRef | None = None
    """A secret in Vault, for companies that keep credentials there. Default: not set."""


class Limits(ApiModel):
    """Protects a provider or tool server from us, and us from a slow one."""

    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Requests per minute over all agents, set by a tenant admin to stay inside a quota. Default: no
    limit."""
    timeout: Duration = "120s"
    """Longest wait for one answer. Default: 120s."""


class Parameter(ApiModel):
    """One typed input of a recipe or workflow."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """Name used in the prompt as `{{ name }}` and in expressions as `params.name`."""
    type: ParameterType
    """String, Integer, Number, Boolean or Date (ISO 8601); checked when a task is submitted."""
    required: bool = False
    """Whether a task must give a value. Default: false."""
    default: Annotated[str, Field(max_length=1024)] | None = None
    """Value, written as text, where a task gives none. Default: empty."""
    description: LongText | None = None
    """Help for the person who fills it in. Default: none."""


class GuardEntity(ApiModel):
    """What the guard does with one entity type."""

    type: EntityType
    """Entity type as the detectors name it, such as CREDIT_CARD, or one of your own recognizers."""
    action: GuardMode
    """Disabled, Detect, Mask or Block. On a path the strictest wins."""
    threshold_percent: Annotated[int, Field(ge=1, le=100)] | None = None
    """Lowest score that counts as a finding; on a path the lowest wins, and only the topmost policy can set
    it above 35. Default: 35."""


class GuardClass(ApiModel):
    """What the guard does with all entity types of one data class."""

    name: DataClass
    """The data class."""
    action: GuardMode
    """Disabled, Detect, Mask or Block; an entry under `entities` refines it. On a path the strictest wins."""


GuardEntities = Annotated[tuple[GuardEntity, ...], Field(max_length=128), ListMap("type")]
GuardClasses = Annotated[tuple[GuardClass, ...], Field(max_length=16), ListMap("name")]


class ConditionStatus(StrEnum):
    """The three values of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """One observed aspect of an object, in the form of Kubernetes' own conditions."""

    type: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Z][A-Za-z0-9]*$")]
    """What is observed, such as Ready; the types and reasons are listed in the documentation."""
    status: ConditionStatus
    """True, False or Unknown."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the spec that this condition speaks about."""
    last_transition_time: AwareDatetime
    """When the status last changed."""
    reason: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Z][A-Za-z0-9]*$")]
    """Why, as one CamelCase word for programs."""
    message: Annotated[str, Field(max_length=4096)] = ""
    """Why, for people."""


class Status(ApiModel):
    """What every kind reports; written by Cadre only."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the spec that this status speaks about."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=32), ListMap("type")] = ()
    """Ready, Accepted and what is specific to the kind."""


class ObjectMeta(ApiModel):
    """The part of Kubernetes' metadata that Cadre reads."""

    name: Name
    """Name of the object, unique for its kind in the namespace: a DNS label."""
    namespace: Name = "default"
    """Namespace; a tenant lives in one or more of them. Default: default."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels for selection, such as pools of agents."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Notes of tools and people."""
    uid: str | None = None
    """Set by the API server."""
    generation: int | None = None
    """Version of the spec, counted by the API server."""
    resource_version: str | None = None
    """Version of the whole object, set by the API server."""
    creation_timestamp: AwareDatetime | None = None
    """Set by the API server."""
    deletion_timestamp: AwareDatetime | None = None
    """Set by the API server when a deletion waits for finalizers."""
    finalizers: tuple[str, ...] = ()
    """Who must clean up before the object goes."""


class Freeze(ApiModel):
    """Stop, now: nothing frozen reaches a model, a tool or new work until this is removed again."""

    reason: Annotated[str, Field(min_length=1, max_length=512)]
    """Why; shown to everyone who waits for the agents."""


class Resource(ApiModel):
    """One object of the API; each kind narrows `kind`, `spec` and `status`."""

    validations: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"self.metadata.name.size() <= 63 && self.metadata.name.matches('{NAME_PATTERN}')",
            "metadata.name must be a DNS label: up to 63 lower-case letters, digits and dashes",
            lambda resource: len(resource.metadata.name) <= 63,
        ),
    )
    crd: ClassVar[Crd]

    api_version: Literal["cadre.dev/v1alpha1"] = API_VERSION
    """Always cadre.dev/v1alpha1."""
    kind: str
    """Kind of the object."""
    metadata: ObjectMeta
    """Kubernetes' metadata."""

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, namespace and name: what identifies the object."""
        return (self.kind, self.metadata.namespace, self.metadata.name)
