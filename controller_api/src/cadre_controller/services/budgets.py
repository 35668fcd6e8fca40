"""Budgets."""

from cadre_controller.services.models import BudgetState, BudgetVerdict, CallOutcome, ModelCall, Reservation


class BudgetService:
    async def verdict(self, tenant: str, agent: str) -> BudgetVerdict: ...
    async def reserve(self, call: ModelCall) -> Reservation:
        """All nodes on the path or none. Raises BudgetExceeded (with node and on_exceeded)."""
    async def settle(self, reservation: Reservation, outcome: CallOutcome) -> None:
        """Once; writes the model_calls row, the audit event and the task's usage."""
    async def release(self, reservation: Reservation, reason: str) -> None: ...
    async def states(self, tenant: str) -> tuple[BudgetState, ...]: ...
