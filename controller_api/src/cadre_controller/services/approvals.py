"""Approvals."""

from cadre_api.protocol.base import type_json
from cadre_api.protocol.guard import ApprovalWait
from cadre_api.protocol.tasks import ApprovalState, ApprovalView, DecisionCreate
from cadre_controller.ports import Actor
from cadre_controller.services.models import HeldTask, Page, ToolApprovalRequest


class ApprovalService:
    async def request_tool(self, held: HeldTask, request: ToolApprovalRequest) -> ApprovalView:
        """Found again by (task, tool, hash); never made twice."""
    async def find_tool(self, held: HeldTask, tool: str, arguments_hash: str) -> ApprovalView | None: ...
    async def request_step(self, actor: Actor, session_id: str, step_id: str, approver_role: str, payload: type_json) -> ApprovalView: ...
    async def get(self, tenant: str, approval_id: str) -> ApprovalView: ...
    async def list(self, tenant: str, *, state: ApprovalState | None = None, limit: int = 50, cursor: str = "") -> Page[ApprovalView]: ...
    async def decide(self, actor: Actor, approval_id: str, body: DecisionCreate) -> ApprovalView:
        """Raises Denied(NotAnApprover, SeparationOfDuties), Conflict(AlreadyDecided, AlreadyVoted, ArgumentsChanged)."""
    async def wait(self, tenant: str, approval_id: str, wait_seconds: float) -> ApprovalWait: ...
    async def sweep(self) -> int:
        """Escalate or expire what is overdue."""
