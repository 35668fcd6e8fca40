"""Leases."""

from cadre_api.protocol.guard import ClaimResponse, Completion, HeartbeatResponse
from cadre_controller.ports import AgentIdentity
from cadre_controller.services.models import HeldTask


class LeaseService:
    async def take_over(self, identity: AgentIdentity) -> int:
        """A new instance of the agent: leases of older instances die, their tasks queue again. Call at token exchange."""
    async def claim(self, identity: AgentIdentity, capacity: int, wait_seconds: float) -> ClaimResponse: ...
    async def heartbeat(self, identity: AgentIdentity, task_id: str, fence: int) -> HeartbeatResponse: ...
    async def complete(self, identity: AgentIdentity, task_id: str, body: Completion) -> None: ...
    async def fail(self, identity: AgentIdentity, task_id: str, body: Completion) -> None: ...
    async def held(self, identity: AgentIdentity, task_id: str, fence: int) -> HeldTask:
        """Raises LeaseLost. Every gateway call starts with it."""
    async def set_waiting(self, held: HeldTask, waiting: bool) -> None:
        """Running <-> Waiting (for another task)."""
    async def reap(self) -> int: ...
