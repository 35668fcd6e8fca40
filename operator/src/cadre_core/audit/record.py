"""One audited fact, without a personal value: persons by opaque id, their data as salted commitments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class AuditActor:
    """Who acted."""

    type: str
    """Person | Agent | System."""
    id: str
    """Opaque for persons, the key for agents."""
    role: str = ""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What happened, in the form that is hashed."""

    id: str
    ts: datetime
    tenant_id: str
    actor: AuditActor
    action: str
    target: str
    result: str
    redactions: Mapping[str, int] = field(default_factory=dict)
    """Entity type -> how many values were masked or restored."""
    cost: Mapping[str, object] = field(default_factory=dict)
    """`tokens` (int) and `usd` (decimal string)."""
    trace_id: str = ""
    data: Mapping[str, object] = field(default_factory=dict)
    commitments: Mapping[str, str] = field(default_factory=dict)
    """Field -> commitment; without its salt it tells nothing, so erasing the salt erases the value."""

    def as_json(self) -> dict[str, object]:
        """Return the record's JSON form (camelCase, UTC with microseconds)."""
        return {
            "id": self.id,
            "ts": self.ts.astimezone(UTC).isoformat(timespec="microseconds"),
            "tenantId": self.tenant_id,
            "actor": {"type": self.actor.type, "id": self.actor.id, "role": self.actor.role},
            "action": self.action,
            "target": self.target,
            "result": self.result,
            "redactions": dict(self.redactions),
            "cost": dict(self.cost),
            "traceId": self.trace_id,
            "data": dict(self.data),
            "commitments": dict(self.commitments),
        }
