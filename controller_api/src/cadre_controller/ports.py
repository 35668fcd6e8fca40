"""What services need from outside: small protocols, so that each part can be replaced in a test or a later
setup."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cadre_api.protocol.base import ActorType
from cadre_api.protocol.guard import GuardRules

type_json_value = object


class Clock(Protocol):
    """Time as an argument."""

    def now(self) -> datetime:
        """Aware UTC time."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


class Ids(Protocol):
    """Where new ids come from."""

    def new(self, prefix: str) -> str:
        """A new id with a readable prefix."""
        ...


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: goes into the audit by its opaque `id`, never by name."""

    tenant: str
    type: ActorType
    id: str
    """`person:<opaque>` | `agent:<namespace/name>` | `system:<part>`."""
    role: str = ""
    """Tenant admins: `TenantAdmin`."""
    person: str = ""
    """Chart key of the person; empty for everything else."""
    clearance: frozenset[str] = frozenset()
    trace_id: str = ""

    @property
    def is_admin(self) -> bool:
        """May change the chart and read everything of the tenant."""
        return self.role == "TenantAdmin"


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """A guard instance that proved who it is."""

    tenant: str
    agent: str
    """Agent key `namespace/name`."""
    instance: str
    replica: str = ""
    """Name of its pod; empty where an agent has one guard, on a desktop."""

    @property
    def actor(self) -> Actor:
        """The same as an audit actor."""
        return Actor(self.tenant, ActorType.AGENT, f"agent:{self.agent}")


@dataclass(frozen=True, slots=True)
class MaskedText:
    """Text that may be stored."""

    text: str
    counts: Mapping[str, int] = field(default_factory=dict)
    """Entity type -> how many distinct values were replaced."""


@dataclass(frozen=True, slots=True)
class MaskedJson:
    """JSON that may be stored."""

    value: type_json_value
    counts: Mapping[str, int] = field(default_factory=dict)


class Masker(Protocol):
    """Replaces values by tokens granted to one session. Raises MaskingFailed (fail closed) or
    Denied(GuardBlocked)."""

    async def mask(self, tenant: str, session_id: str, text: str, rules: GuardRules) -> MaskedText:
        """Masked text; every token in it is granted to the session."""
        ...

    async def mask_json(
        self, tenant: str, session_id: str, value: type_json_value, rules: GuardRules
    ) -> MaskedJson:
        """The same for every string leaf of a JSON value."""
        ...

    async def leftovers(self, text: str, rules: GuardRules) -> Sequence[str]:
        """Entity types still found in text that should be masked already (the gateway's second scan)."""
        ...
