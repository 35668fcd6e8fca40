"""RoleProfile: what a role knows, may use and how it thinks; agents are made from it."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cadre_api.data_classes import GuardMode
from cadre_api.schema import ApiModel, Column, Crd, ListMap, Rule, exactly_one_of
from cadre_api.v1alpha1.common import (
    Builtin,
    Clearance,
    Days,
    GuardClasses,
    GuardEntities,
    LongText,
    ModelName,
    Name,
    ObjectRef,
    Parameter,
    Prompt,
    Resource,
    Status,
    Tags,
    Text,
    ToolName,
)


class MemoryScope(StrEnum):
    """Who shares what an agent remembers."""

    AGENT = "Agent"
    NODE = "Node"


class Skill(ApiModel):
    """Something agents of this role are good at; the router finds them by it."""

    name: Name
    """Name of the skill, as tasks ask for it."""
    tags: Tags = ()
    """Words by which the router also finds it. Default: none."""
    description: LongText | None = None
    """What the skill covers, for people and agent cards. Default: none."""


class ToolRule(ApiModel):
    """Names one tool."""

    tool: ToolName
    """Name of the tool as its server lists it."""


ToolRules = Annotated[tuple[ToolRule, ...], Field(max_length=128), ListMap("tool")]


class ProfileTool(ApiModel):
    """One source of tools; exactly one of toolServerRef, builtin and gooseExtension is set."""

    validations = (
        exactly_one_of("tool_server_ref", "builtin", "goose_extension"),
        Rule(
            "!has(self.gooseExtension) || has(self.allow)",
            "gooseExtension needs allow: name the tools, as no server pins them",
            lambda t: t.goose_extension is None or t.allow is not None,
        ),
    )

    name: Name
    """Name by which the agent, `narrow` and the audit trail know this source."""
    tool_server_ref: ObjectRef | None = None
    """An MCP server, reached through the tool gateway only. Default: not set."""
    builtin: Builtin | None = None
    """Cadre's own tools: Mesh (other agents), Guard (masking) or Memory. Default: not set."""
    goose_extension: Name | None = None
    """An extension inside the agent's own container, such as developer: an explicit opt-in. Default: not
    set."""
    allow: ToolRules | None = None
    """Tools that may be called, set by whoever owns the role. Default: all that the server pins or the
    builtin has; required for a gooseExtension."""


class ModelChoice(ApiModel):
    """One model at one provider."""

    provider_ref: ObjectRef
    """The ModelProvider."""
    model: ModelName
    """Name of a model in that provider's list."""


ModelChoices = Annotated[tuple[ModelChoice, ...], Field(max_length=16)]


class ProfileModels(ApiModel):
    """Models by purpose; the first usable one that policy permits is taken."""

    plan: ModelChoices = ()
    """For planning and breaking down tasks. Default: the models of `work`."""
    work: ModelChoices = ()
    """For doing the task. Default: those of the inherited profiles; an agent without any is not Ready."""
    summarize: ModelChoices = ()
    """For summaries and hand-offs. Default: the models of `work`."""


class ProfileGuard(ApiModel):
    """How private data is treated for this role; policies on the path can only be stricter."""

    mode: GuardMode | None = None
    """Disabled, Detect, Mask or Block; on a path the strictest wins. Default: the inherited, else Mask."""
    clearance: Clearance = ()
    """Data classes agents of this role work with unmasked in their own container. Default: none."""
    entities: GuardEntities = ()
    """Exceptions by entity type. Default: none."""
    classes: GuardClasses = ()
    """Exceptions by data class. Default: PII masked, CREDENTIALS blocked."""


class Recipe(ApiModel):
    """A task template that people and workflows fill in."""

    name: Name
    """Name by which tasks and workflows call it."""
    title: Text
    """Title for people who pick a recipe."""
    description: LongText | None = None
    """What the recipe does and when to use it. Default: none."""
    parameters: Annotated[tuple[Parameter, ...], Field(max_length=32), ListMap("name")] = ()
    """Inputs of the recipe. Default: none."""
    prompt: Prompt
    """The task's text; `{{ name }}` stands for a parameter."""


class Memory(ApiModel):
    """What agents of this role remember between tasks; masked text only."""

    retention_days: Days = 30
    """Days after which a memory is deleted. Default: 30."""
    scope: MemoryScope = MemoryScope.AGENT
    """Agent keeps memories to itself, Node shares them in its node. Default: Agent."""


class RoleProfileSpec(ApiModel):
    """Set by whoever owns the role; a node's ceiling still applies to every agent made from it."""

    inherits: Annotated[tuple[ObjectRef, ...], Field(max_length=8)] = ()
    """Profiles to build on, later ones first to be overridden by this one; tools are united, the guard's
    strictest mode wins. Default: none."""
    title: Text
    """Title of the role for people."""
    instructions: Prompt | None = None
    """System prompt of agents in this role. Default: that of the inherited profiles."""
    hints: Annotated[tuple[LongText, ...], Field(max_length=64)] = ()
    """Short facts added to the instructions, such as the start of the fiscal year. Default: none."""
    skills: Annotated[tuple[Skill, ...], Field(max_length=64), ListMap("name")] = ()
    """What the router may give to this role. Default: none, so it is found by role or name only."""
    tools: Annotated[tuple[ProfileTool, ...], Field(max_length=64), ListMap("name")] = ()
    """Tools; nothing that is not listed exists for the agent. Default: none."""
    models: ProfileModels | None = None
    """Models by purpose. Default: those of the inherited profiles."""
    guard: ProfileGuard | None = None
    """Treatment of private data. Default: mode Mask, no clearance."""
    recipes: Annotated[tuple[Recipe, ...], Field(max_length=64), ListMap("name")] = ()
    """Ready-made tasks of the role. Default: those of the inherited profiles."""
    memory: Memory | None = None
    """What is remembered between tasks. Default: nothing."""


class RoleProfileStatus(Status):
    """Whether the profile resolves; written by Cadre."""


class RoleProfile(Resource):
    """A role that agents are made from: instructions, tools, models, guard and recipes."""

    crd: ClassVar[Crd] = Crd(
        plural="roleprofiles",
        singular="roleprofile",
        short_name="cdprofile",
        columns=(
            Column("Title", ".spec.title"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Guard", ".spec.guard.mode", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["RoleProfile"] = "RoleProfile"
    """Always RoleProfile."""
    spec: RoleProfileSpec
    """What the role knows and may use."""
    status: RoleProfileStatus | None = None
    """What Cadre observed."""
