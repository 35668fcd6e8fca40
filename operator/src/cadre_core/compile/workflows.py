"""Workflows refer to roles, agents, people and each other; a step that points nowhere would fail in the
middle of a run."""

from collections.abc import Mapping

from cadre_api.units import parse_duration
from cadre_api.v1alpha1 import Agent, ObjectRef, OrgNode, Person, Resource, RoleProfile, Step, Workflow
from cadre_core.compile.draft import Draft, reference_key
from cadre_core.compile.profiles import MergedProfile
from cadre_core.compile.workflow_expressions import check_expressions
from cadre_core.compile.workflow_requests import request_problems
from cadre_core.load.errors import did_you_mean
from cadre_core.workflow.definition import Definition, definition_of, layers
from cadre_core.workflow.parameters import check_parameters


def build_workflows(draft: Draft, profiles: Mapping[str, MergedProfile]) -> dict[str, Definition]:
    """Every workflow by key; notes what each step names wrongly, and steps that wait for each other."""
    workflows = draft.resources.of(Workflow)
    definitions = {key: definition_of(key, workflow.spec) for key, workflow in workflows.items()}
    for key, workflow in workflows.items():
        _check_parameters(draft, workflow)
        _refuse_cycle(draft, workflow)
        for i, step in enumerate(workflow.spec.steps):
            checker = _StepCheck(draft, workflow, definitions[key], step, f"spec.steps[{i}]")
            checker.run(profiles, workflows)
    _refuse_circles(draft, workflows)
    return definitions


class _StepCheck:
    def __init__(
        self, draft: Draft, workflow: Workflow, definition: Definition, step: Step, path: str
    ) -> None:
        self._draft, self._workflow, self._step, self._path = draft, workflow, step, path
        self._definition = definition

    def run(self, profiles: Mapping[str, MergedProfile], workflows: Mapping[str, Workflow]) -> None:
        """Note everything that is wrong with the step."""
        self._references(profiles)
        self._sub_workflow(workflows)
        self._help()
        for field in ("wait", "timeout"):
            given = getattr(self._step, field)
            if given is not None and not parse_duration(given).total_seconds():
                self._refuse(field, "BadDuration", f"{field} is nothing", "give a time such as 30m")
        if self._step.timeout and (self._step.wait or self._step.data):
            message = "a wait or a value takes no other time"
            self._refuse("timeout", "UselessTimeout", message, "leave timeout out")
        check_expressions(self._draft, self._workflow, self._definition, self._step, self._path)
        for problem in request_problems(self._step.http, self._workflow.spec.hosts):
            self._refuse(*problem)

    def _refuse(self, field: str, reason: str, message: str, fix: str) -> None:
        self._draft.refuse(self._workflow, f"{self._path}.{field}", reason, message, fix)

    def _references(self, profiles: Mapping[str, MergedProfile]) -> None:
        task, approval, message = self._step.task, self._step.approval, self._step.message
        if task is not None:
            self._resolve(task.agent_ref, Agent, "task.agentRef")
        if task is not None and task.role is not None:
            self._role(task.role, task.recipe or "", profiles)
        if message is not None:
            self._resolve(message.agent_ref, Agent, "message.agentRef")
            self._resolve(message.person_ref, Person, "message.personRef")
        if approval is not None:
            self._resolve(approval.node_ref, OrgNode, "approval.nodeRef")
        if approval is not None and approval.allow_always is not None:
            message_ = "a step is asked for once"
            self._refuse("approval.allowAlways", "NotOffered", message_, "leave allowAlways out")

    def _resolve(self, ref: ObjectRef | None, kind: type[Resource], field: str) -> None:
        if ref is not None:
            self._draft.resolve(self._workflow, ref, kind, f"{self._path}.{field}")

    def _role(self, role: str, recipe: str, profiles: Mapping[str, MergedProfile]) -> None:
        roles = sorted({key.split("/")[1] for key in self._draft.resources.of(RoleProfile)})
        if role not in roles:
            message = f"there is no RoleProfile {role}"
            self._refuse("task.role", "DanglingReference", message, did_you_mean(role, roles))
            return
        known = {r for key, profile in profiles.items() if key.split("/")[1] == role for r in profile.recipes}
        if recipe and recipe not in known:
            message = f"RoleProfile {role} has no recipe {recipe}"
            self._refuse("task.recipe", "DanglingReference", message, did_you_mean(recipe, sorted(known)))

    def _sub_workflow(self, workflows: Mapping[str, Workflow]) -> None:
        called = self._step.workflow
        if called is None:
            return
        key = self._draft.resolve(
            self._workflow, called.workflow_ref, Workflow, f"{self._path}.workflow.workflowRef"
        )
        if key is None:
            return
        declared = {p.name: p for p in workflows[key].spec.parameters}
        given = called.with_ or {}
        for name in sorted(given.keys() - declared.keys()):
            message = f"Workflow {key} has no parameter {name}"
            self._refuse("workflow.with", "UnknownParameter", message, did_you_mean(name, sorted(declared)))
        missing = [n for n, p in declared.items() if p.required and p.default is None and n not in given]
        if missing:
            message = f"Workflow {key} needs {', '.join(missing)}"
            self._refuse("workflow.with", "MissingParameter", message, "give each a value")

    def _help(self) -> None:
        """Steps for the bad case stand beside the others: nothing waits for them, nothing helps them."""
        step, helpers = self._step, self._definition.helpers
        if wrong := sorted(set(step.depends_on) & helpers):
            message = f"{wrong[0]} runs only when something failed"
            self._refuse("dependsOn", "DependsOnHelper", message, "name a step that always runs")
        if step.name not in helpers:
            return
        for field, given in (("dependsOn", step.depends_on), ("onFailure", step.on_failure)):
            if given:
                message = f"{step.name} runs only when something failed, so it has no {field}"
                self._refuse(field, "NotOffered", message, f"leave {field} out")
        if step.compensates in helpers:
            message = f"{step.compensates} itself runs only when something failed"
            self._refuse("compensates", "NotOffered", message, "name a step that always runs")
        same = [
            s.name for s in self._definition.spec.steps if s.compensates and s.compensates == step.compensates
        ]
        if step.compensates and same[0] != step.name:
            message = f"{same[0]} compensates {step.compensates} already"
            self._refuse("compensates", "Duplicate", message, "one step undoes it all")


def _check_parameters(draft: Draft, workflow: Workflow) -> None:
    for i, parameter in enumerate(workflow.spec.parameters):
        if parameter.default is None:
            continue
        for problem in check_parameters((parameter,), {})[1]:
            path = f"spec.parameters[{i}].default"
            draft.refuse(workflow, path, "BadDefault", problem, f"write a {parameter.type.value}")


def _refuse_cycle(draft: Draft, workflow: Workflow) -> None:
    reached = {name for layer in layers(workflow.spec.steps) for name in layer}
    waiting = sorted({step.name for step in workflow.spec.steps} - reached)
    if waiting:
        message = f"these steps wait for each other: {', '.join(waiting)}"
        draft.refuse(workflow, "spec.steps", "Cycle", message, "remove one of their dependsOn")


def _refuse_circles(draft: Draft, workflows: Mapping[str, Workflow]) -> None:
    """A workflow that runs itself, near or far, would never end."""
    calls = {key: _called(workflow) & workflows.keys() for key, workflow in workflows.items()}
    while ready := [key for key, called in calls.items() if not called & calls.keys()]:
        for key in ready:
            del calls[key]
    for key in sorted(calls):
        message = f"it runs itself, by way of {', '.join(sorted(calls[key] & calls.keys()))}"
        draft.refuse(workflows[key], "spec.steps", "Cycle", message, "remove one of the workflow steps")


def _called(workflow: Workflow) -> set[str]:
    steps = (step.workflow for step in workflow.spec.steps if step.workflow is not None)
    return {reference_key(workflow, step.workflow_ref) for step in steps}
