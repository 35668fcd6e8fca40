"""Workflows refer to roles and agents; a step that points nowhere would fail in the middle of a run."""

from cadre_api.v1alpha1 import Agent, OrgNode, RoleProfile, Step, Workflow
from cadre_core.compile.draft import Draft
from cadre_core.load.errors import did_you_mean


def check_workflows(draft: Draft) -> None:
    """Resolve what each step names, and refuse steps that wait for each other."""
    for workflow in draft.resources.of(Workflow).values():
        for i, step in enumerate(workflow.spec.steps):
            _check_step(draft, workflow, step, f"spec.steps[{i}]")
        _refuse_cycle(draft, workflow)


def _check_step(draft: Draft, workflow: Workflow, step: Step, path: str) -> None:
    task, approval = step.task, step.approval
    if task is not None and task.agent_ref is not None:
        draft.resolve(workflow, task.agent_ref, Agent, f"{path}.task.agentRef")
    if task is not None and task.role is not None:
        roles = sorted({key.split("/")[1] for key in draft.resources.of(RoleProfile)})
        if task.role not in roles:
            message = f"there is no RoleProfile {task.role}"
            draft.refuse(
                workflow, f"{path}.task.role", "DanglingReference", message, did_you_mean(task.role, roles)
            )
    if approval is not None and approval.node_ref is not None:
        draft.resolve(workflow, approval.node_ref, OrgNode, f"{path}.approval.nodeRef")


def _refuse_cycle(draft: Draft, workflow: Workflow) -> None:
    waiting = {step.name: set(step.depends_on) for step in workflow.spec.steps}
    while ready := [name for name, needs in waiting.items() if not needs & waiting.keys()]:
        for name in ready:
            del waiting[name]
    if waiting:
        message = f"these steps wait for each other: {', '.join(sorted(waiting))}"
        draft.refuse(workflow, "spec.steps", "Cycle", message, "remove one of their dependsOn")
