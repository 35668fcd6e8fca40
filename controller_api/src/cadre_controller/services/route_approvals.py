"""Tasks that policy lets in only with a person's consent: they are held at the entry, with the approval in
the same commit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cadre_api.protocol.tasks import ApprovalKind, ApprovalState, TaskView
from cadre_controller.errors import Denied
from cadre_controller.services import panels
from cadre_controller.services.approval_rows import ApprovalDraft
from cadre_controller.services.chart import ChartService
from cadre_controller.services.kernel import Facts, Kernel, system_actor
from cadre_controller.store.work import AuditEntry, Statement
from cadre_core.canonical import digest
from cadre_core.model import ApprovalRule, EffectiveAgent


@dataclass(frozen=True, slots=True)
class AskedRows:
    """What asking adds to the commit of the task."""

    statements: tuple[Statement, ...]
    audit: tuple[AuditEntry, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """An approval that will be asked for together with its task."""

    id: str
    draft: ApprovalDraft
    kernel: Kernel

    def about(self, view: TaskView) -> AskedRows:
        """The rows, bound to the hash of exactly this task."""
        kernel, tenant = self.kernel, view.tenant
        arguments = {"agent": view.agent, "prompt": view.prompt, "priority": view.priority}
        draft = replace(self.draft, task_id=view.id, arguments=arguments, arguments_hash=digest(arguments))
        now = kernel.clock.now()
        row = draft.row(tenant, self.id, ApprovalState.PENDING.value, now, "")
        data = {"approval": self.id, "rules": [r.rule_id for r in draft.requirements]}
        return AskedRows(
            (
                Statement("approval_insert", row),
                kernel.event(tenant, view.id, "ApprovalRequested", view.agent, data),
            ),
            (
                kernel.audit(
                    system_actor(tenant, "approvals"),
                    "approval.request",
                    f"approval:{self.id}",
                    ApprovalState.PENDING.value,
                    Facts(draft.facts(), trace_id=view.trace_id),
                ),
            ),
        )


class RouteApprovals:
    """Prepares the approvals of tasks that are held."""

    def __init__(self, kernel: Kernel, chart: ChartService) -> None:
        self._kernel = kernel
        self._chart = chart

    def ask(
        self,
        agent: EffectiveAgent,
        session_id: str,
        requester: str,
        rules: Sequence[tuple[str, ApprovalRule]],
    ) -> Asked:
        """The approval that all these rules ask for. Raises Denied(NoApprover) when nobody could give it."""
        live = self._chart.current(agent.tenant)
        now = self._kernel.clock.now()
        question = panels.question_of(live, agent.node, requester, now)
        requirements = panels.requirements_of(rules, now)
        if not all(panels.can_be_met(question, requirement) for requirement in requirements):
            raise Denied(
                "NoApprover",
                "policy asks for an approval that nobody can give",
                "name an approver above the agent's node",
                [requirement.rule_id for requirement in requirements],
            )
        draft = ApprovalDraft(
            kind=ApprovalKind.ROUTE_TASK,
            session_id=session_id,
            agent=agent.key,
            node=agent.node,
            requester=requester,
            tool="RouteTask",
            requirements=requirements,
        )
        return Asked(self._kernel.ids.new("apr"), draft, self._kernel)
