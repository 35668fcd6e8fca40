"""Audit."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from cadre_api.protocol.base import type_json
from cadre_api.protocol.guard import GuardEvent
from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.models import AuditRow


class AuditService:
    def public_jwk(self) -> dict[str, object]: ...
    async def append(self, actor: Actor, action: str, target: str, result: str = "ok", *, data: type_json | None = None, redactions: Mapping[str, int] | None = None, trace_id: str = "", personal: Mapping[str, str] | None = None) -> None:
        """`personal` values enter only as salted commitments."""
    async def list(self, tenant: str, *, after: int = 0, limit: int = 200, action: str = "", target: str = "", actor_id: str = "", trace_id: str = "", since: datetime | None = None, until: datetime | None = None) -> tuple[AuditRow, ...]: ...
    def export(self, tenant: str, *, after: int = 0) -> AsyncIterator[AuditRow]: ...
    def header(self, tenant: str) -> dict[str, object]: ...
    async def checkpoint(self, tenant: str) -> str:
        """JWS (EdDSA) over {tenant, seq, head, root, at}; stored."""
    async def ingest(self, actor: Actor, event_id: str, action: str, target: str, result: str, data: type_json) -> bool:
        """External event, once per id; False when it was known."""
    async def guard_events(self, identity: AgentIdentity, events: tuple[GuardEvent, ...]) -> int:
        """Idempotent by event id; also lines of the tasks' stories."""
