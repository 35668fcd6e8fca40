"""Workflow: steps across agents and people, flat and ordered by what each depends on."""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from cadre_api.schema import ApiModel, Column, Crd, ListMap, ListSet, Rule, exactly_one_of, only_with
from cadre_api.v1alpha1.common import (
    Cel,
    Duration,
    LongText,
    Name,
    ObjectRef,
    Parameter,
    Prompt,
    Resource,
    Status,
)
from cadre_api.v1alpha1.policy import Approval
from cadre_api.v1alpha1.workflow_http import Host, HttpRequest

Values = Annotated[dict[str, Cel], Field(max_length=32)]


class TaskTemplate(ApiModel):
    """Work for an agent: whom (role or agentRef) and what (recipe or prompt)."""

    validations = (exactly_one_of("role", "agent_ref"), exactly_one_of("recipe", "prompt"))

    role: Name | None = None
    """Profile whose agents may take it; the router picks one. Default: not set."""
    agent_ref: ObjectRef | None = None
    """One particular agent. Default: not set."""
    recipe: Name | None = None
    """Recipe of the receiver's profile. Default: not set."""
    with_: Values | None = None
    """Parameters of the recipe, or values for `{{ name }}` in the prompt, as CEL over `params`, `steps` and
    `item`. Default: none."""
    prompt: Prompt | None = None
    """Text of the task, where no recipe fits; `{{ name }}` is filled in from `with` and the parameters.
    Default: not set."""


class MessageTemplate(ApiModel):
    """A message: to whom, and what it says."""

    validations = (exactly_one_of("agent_ref", "person_ref", "topic"),)

    agent_ref: ObjectRef | None = None
    """An agent. Default: not set."""
    person_ref: ObjectRef | None = None
    """A person. Default: not set."""
    topic: Name | None = None
    """Everyone who subscribed to this topic. Default: not set."""
    text: Prompt
    """What it says; `{{ name }}` is filled in from `with` and the parameters."""
    with_: Values | None = None
    """Values for the text, as CEL over `params`, `steps` and `item`. Default: none."""


class SubWorkflow(ApiModel):
    """Another workflow as one step."""

    workflow_ref: ObjectRef
    """The workflow to run."""
    with_: Values | None = None
    """Its parameters, as CEL over `params` and `steps`. Default: none."""


class Step(ApiModel):
    """One step; exactly one of task, approval, message, wait, data, http and workflow is set."""

    validations = (
        exactly_one_of("task", "approval", "message", "wait", "data", "http", "workflow"),
        only_with("for_each", "task", "message", "http"),
    )

    name: Name
    """Name of the step; later steps and results refer to it."""
    depends_on: Annotated[tuple[Name, ...], Field(max_length=32), ListSet()] = ()
    """Steps that must have succeeded before. Default: none, so it starts at once."""
    when: Cel | None = None
    """Runs only if this holds, as CEL over `params` and `steps`; else it is skipped, and so is what depends
    on skipped steps alone. Default: it runs."""
    for_each: Cel | None = None
    """Runs once for each element of this list, at most 100, all at once; the element is `item`, and the
    result is the list of results. Default: it runs once."""
    task: TaskTemplate | None = None
    """Work for an agent; its result is the agent's answer. Default: not set."""
    approval: Approval | None = None
    """Waits for people, who see what the steps before it gave. Default: not set."""
    message: MessageTemplate | None = None
    """Tells somebody, and waits for no answer. Default: not set."""
    wait: Duration | None = None
    """Waits this long. Default: not set."""
    data: Cel | None = None
    """Works out a value from `params` and `steps`; its result is that value. Default: not set."""
    http: HttpRequest | None = None
    """Asks a service outside over HTTP; its result is `{status, body}`. Default: not set."""
    workflow: SubWorkflow | None = None
    """Runs another workflow to its end; its result has those of its last steps. Default: not set."""
    timeout: Duration | None = None
    """Longest time for the step; then it is stopped and has failed. Default: none."""
    on_failure: Name | None = None
    """Step to run if this one fails, before the workflow fails. Default: none."""
    compensates: Name | None = None
    """Marks a step that undoes the named one; it runs only when that must be undone. Default: none."""


def _named_steps_exist(spec: "WorkflowSpec") -> bool:
    names = {step.name for step in spec.steps}
    return all(set(_references(step)) <= names for step in spec.steps)


def _references(step: Step) -> Iterable[str]:
    yield from step.depends_on
    yield from (name for name in (step.on_failure, step.compensates) if name is not None)


def _no_self_reference(spec: Any) -> bool:
    return all(step.name not in set(_references(step)) for step in spec.steps)


class WorkflowSpec(ApiModel):
    """Set by whoever owns the process; each step still needs its own rights."""

    validations = (
        Rule(
            "self.steps.all(s, (!has(s.dependsOn) || s.dependsOn.all(d, self.steps.exists(t, t.name == d)))"
            " && (!has(s.onFailure) || self.steps.exists(t, t.name == s.onFailure))"
            " && (!has(s.compensates) || self.steps.exists(t, t.name == s.compensates)))",
            "dependsOn, onFailure and compensates must name steps of this workflow",
            _named_steps_exist,
        ),
        Rule(
            "self.steps.all(s, (!has(s.dependsOn) || !(s.name in s.dependsOn))"
            " && (!has(s.onFailure) || s.onFailure != s.name)"
            " && (!has(s.compensates) || s.compensates != s.name))",
            "a step must not refer to itself in dependsOn, onFailure or compensates",
            _no_self_reference,
        ),
    )

    description: LongText | None = None
    """What the workflow is for. Default: none."""
    parameters: Annotated[tuple[Parameter, ...], Field(max_length=32), ListMap("name")] = ()
    """Inputs, readable as `params.name`. Default: none."""
    hosts: Annotated[tuple[Host, ...], Field(max_length=32), ListSet()] = ()
    """Hosts that its http steps may talk to, as `host` (port 443 of https, 80 of http) or `host:port`; a
    redirect leads nowhere else either. Default: none."""
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=64), ListMap("name")]
    """The steps; order comes from dependsOn, not from the list."""


class WorkflowStatus(Status):
    """Whether the workflow can run; written by Cadre."""


class Workflow(Resource):
    """A process across agents and people."""

    crd: ClassVar[Crd] = Crd(
        plural="workflows",
        singular="workflow",
        short_name="cdflow",
        columns=(
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["Workflow"] = "Workflow"
    """Always Workflow."""
    spec: WorkflowSpec
    """Parameters and steps."""
    status: WorkflowStatus | None = None
    """What Cadre observed."""
