"""Signed bundles per agent."""

from cadre_api.protocol.guard import BundleAck, GuardStatus
from cadre_controller.ports import AgentIdentity


class BundleService:
    def public_jwk(self) -> dict[str, object]: ...
    async def wait(self, identity: AgentIdentity, after: int, wait_seconds: float) -> str | None:
        """Compact JWS of the AgentBundle newer than `after`, or None when none comes within the wait."""
    async def ack(self, identity: AgentIdentity, ack: BundleAck) -> None: ...
    async def status(self, identity: AgentIdentity, status: GuardStatus) -> None: ...
