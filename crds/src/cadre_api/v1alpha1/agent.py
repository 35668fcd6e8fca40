"""Agent: one running assistant, made from a profile at a node and acting for a human."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field

from cadre_api.data_classes import GuardMode
from cadre_api.schema import ApiModel, Column, Crd, ListMap, Rule, Scale, exactly_one_of
from cadre_api.v1alpha1.common import (
    Duration,
    Freeze,
    ModelName,
    Name,
    ObjectRef,
    Quantity,
    Resource,
    Status,
)
from cadre_api.v1alpha1.roleprofile import ToolRules


class Transport(StrEnum):
    """How the guard speaks ACP with the agent."""

    STDIO = "Stdio"
    WEB_SOCKET = "WebSocket"


class Analyzer(StrEnum):
    """Where private data is detected."""

    SIDECAR = "Sidecar"
    NODE = "Node"


class Lifecycle(StrEnum):
    """Whether the agent is meant to run."""

    RUNNING = "Running"
    SUSPENDED = "Suspended"


class Phase(StrEnum):
    """Where an agent stands, derived from its conditions for people; programs read conditions."""

    PENDING = "Pending"
    AWAITING_APPROVAL = "AwaitingApproval"
    STARTING = "Starting"
    IDLE = "Idle"
    BUSY = "Busy"
    DRAINING = "Draining"
    SUSPENDED = "Suspended"
    FROZEN = "Frozen"
    FAILED = "Failed"


class GooseRuntime(ApiModel):
    """The pinned goose binary; it has no settings of its own, all comes from the profile."""


class AcpRuntime(ApiModel):
    """Any other agent that speaks the Agent Client Protocol."""

    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Container image of the agent, pinned by digest. Default: none; required in a cluster, unused on a
    desktop."""
    command: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...], Field(min_length=1, max_length=64)
    ]
    """Program and arguments that start the agent."""
    transport: Transport = Transport.STDIO
    """Stdio or WebSocket. Default: Stdio."""


class Runtime(ApiModel):
    """What runs; exactly one of the members is set."""

    validations = (exactly_one_of("goose", "acp"),)

    goose: GooseRuntime | None = None
    """The unmodified goose agent: write `goose: {}`. Default: set where `runtime` is absent."""
    acp: AcpRuntime | None = None
    """Another ACP agent, for teams that bring their own. Default: not set."""


class Scaling(ApiModel):
    """How many replicas run and when idle ones stop."""

    validations = (
        Rule(
            "(has(self.min) ? self.min : 0) <= (has(self.max) ? self.max : 1)",
            "min must not exceed max (max is 1 where it is not set)",
            lambda s: s.min <= s.max,
        ),
    )

    min: Annotated[int, Field(ge=0, le=1000)] = 0
    """Replicas kept even when idle; 1 avoids the start-up wait. Default: 0."""
    max: Annotated[int, Field(ge=1, le=1000)] = 1
    """Most replicas under load. Default: 1."""
    idle_after: Duration = "15m"
    """Idle time after which a replica stops. Default: 15m."""
    concurrency: Annotated[int, Field(ge=1, le=100)] = 1
    """Tasks that one replica works on at a time. Default: 1."""
    drain_timeout: Duration = "30m"
    """Longest wait for running turns before a stop parks them. Default: 30m."""


class EphemeralState(ApiModel):
    """Nothing outlives a replica."""


class VolumeState(ApiModel):
    """A volume per replica, encrypted and under transcript retention."""

    size: Quantity
    """Size of the volume, such as 1Gi."""
    storage_class_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """Storage class. Default: the cluster's default."""


class State(ApiModel):
    """Where the agent's home lives; exactly one of the members is set."""

    validations = (exactly_one_of("ephemeral", "volume"),)

    ephemeral: EphemeralState | None = None
    """In memory, wiped between trust sets: write `ephemeral: {}`. Default: set where `state` is absent."""
    volume: VolumeState | None = None
    """On a volume, for agents with long sessions. Default: not set."""


class ResourceAmounts(ApiModel):
    """Amounts of compute."""

    cpu: Quantity | None = None
    """Cores, such as 500m. Default: not set."""
    memory: Quantity | None = None
    """Bytes, such as 512Mi. Default: not set."""
    ephemeral_storage: Quantity | None = None
    """Bytes of scratch disk, such as 1Gi. Default: not set."""


class ContainerResources(ApiModel):
    """Requests and limits of one container or process."""

    requests: ResourceAmounts | None = None
    """What is reserved. Default: chosen by Cadre for the runtime."""
    limits: ResourceAmounts | None = None
    """What is never exceeded. Default: chosen by Cadre for the runtime."""


class AgentResources(ApiModel):
    """Compute of the pod's containers."""

    agent: ContainerResources | None = None
    """The agent itself. Default: chosen by Cadre."""
    guard: ContainerResources | None = None
    """Its guard; more for long texts and several languages. Default: chosen by Cadre."""


class NarrowTool(ApiModel):
    """Takes tools of one source away."""

    name: Name
    """Name of the source in the profile's tools."""
    deny: ToolRules | None = None
    """Tools taken away. Default: the whole source."""


class NarrowModel(ApiModel):
    """Takes models of one provider away."""

    provider_ref: ObjectRef
    """The provider."""
    model: ModelName | None = None
    """The model. Default: all of the provider's models."""


class Narrow(ApiModel):
    """Takes rights away from this one agent; it can never add any."""

    tools: Annotated[tuple[NarrowTool, ...], Field(max_length=64), ListMap("name")] = ()
    """Tools this agent must not use. Default: none taken away."""
    models: Annotated[tuple[NarrowModel, ...], Field(max_length=64)] = ()
    """Models this agent must not use. Default: none taken away."""


class AgentSpec(ApiModel):
    """Set by whoever holds AgentRequester at the node."""

    node_ref: ObjectRef
    """The node where the agent works; it fixes rights, budget and who approves."""
    profile_ref: ObjectRef | None = None
    """The role it plays; the node must allow it. Default: the node's profile."""
    owner_ref: ObjectRef | None = None
    """The person it acts for, who must consent if another asks. Default: the requester."""
    purpose: Annotated[str, Field(min_length=1, max_length=1024)]
    """Why the agent exists; shown to whoever consents."""
    runtime: Runtime | None = None
    """What runs. Default: goose."""
    replicas: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Fixed number of replicas, set through the scale subresource; while set, the idle scaler is off.
    Default: not set."""
    scaling: Scaling | None = None
    """Limits of the idle scaler. Default: 0 to 1 replicas, stopped after 15m idle."""
    state: State | None = None
    """Whether the agent's home outlives a replica. Default: ephemeral."""
    resources: AgentResources | None = None
    """Compute. Default: chosen by Cadre."""
    analyzer: Analyzer = Analyzer.SIDECAR
    """Sidecar (strongest isolation), or Node (shared per machine, if a cluster has it). Default: Sidecar."""
    narrow: Narrow | None = None
    """Rights this agent gives up against its profile. Default: none."""
    lifecycle: Lifecycle = Lifecycle.RUNNING
    """Running or Suspended (drained and stopped, state kept). Default: Running."""
    freeze: Freeze | None = None
    """Stops the agent within seconds, in the middle of whatever it does; written by heads above it. Default:
    not frozen."""


class BundleStatus(ApiModel):
    """The configuration that the guard runs with."""

    generation: Annotated[int, Field(ge=0)]
    """Counts the bundles of this agent."""
    digest: Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
    """SHA-256 of the bundle."""


class ConsentStatus(ApiModel):
    """Who agreed to which rights."""

    rights_hash: Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
    """Hash of the effective rights that were agreed to; other rights ask again."""
    by: ObjectRef
    """The person who agreed."""
    at: AwareDatetime
    """When the person agreed."""


class AgentStatus(Status):
    """What the agent is doing; written by Cadre."""

    phase: Phase | None = None
    """Derived from the conditions, for people."""
    replicas: Annotated[int, Field(ge=0)] | None = None
    """Replicas that exist."""
    ready_replicas: Annotated[int, Field(ge=0)] | None = None
    """Replicas that take work."""
    selector: Annotated[str, Field(max_length=1024)] | None = None
    """Label selector of the pods, for autoscalers."""
    profile: Name | None = None
    """The effective profile."""
    owner: Name | None = None
    """The effective owner."""
    model: Annotated[str, Field(max_length=256)] | None = None
    """Provider and model chosen for work."""
    guard_mode: GuardMode | None = None
    """The effective guard mode: the strictest on the path."""
    bundle: BundleStatus | None = None
    """Configuration that the guard acknowledged."""
    consent: ConsentStatus | None = None
    """Consent in force, if the node asks for it."""


class Agent(Resource):
    """A running, governed assistant at a node of the org chart."""

    validations = (
        *Resource.validations,
        Rule(
            "self.metadata.name.size() <= 52",
            "the name of an Agent has at most 52 characters: its pods need the rest",
            lambda a: len(a.metadata.name) <= 52,
        ),
    )
    crd: ClassVar[Crd] = Crd(
        plural="agents",
        singular="agent",
        short_name="cdagent",
        columns=(
            Column("Node", ".spec.nodeRef.name"),
            Column("Profile", ".status.profile"),
            Column("Phase", ".status.phase"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Owner", ".status.owner", priority=1),
            Column("Model", ".status.model", priority=1),
            Column("Guard", ".status.guardMode", priority=1),
            Column("Bundle", ".status.bundle.generation", "integer", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
        scale=Scale(),
    )

    kind: Literal["Agent"] = "Agent"
    """Always Agent."""
    spec: AgentSpec
    """What the agent is for and how it runs."""
    status: AgentStatus | None = None
    """What Cadre observed."""
