"""What is known of all tenants: their charts in force, and what the controller said of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cadre_core.tenancy import members, tenants
from cadre_operator.agents.consent import Serving
from cadre_operator.chart.evaluate import ChartState
from cadre_operator.keys import Key
from cadre_operator.status.common import SyncState
from cadre_operator.watch.entries import Entry

_GATHERING_SECONDS = 0.05
_REST = 4
"""Times as long as a compilation took, the next one waits."""
_LONGEST_SECONDS = 5.0
_SETTLING_SECONDS = 0.5
"""A chart that is applied for the first time arrives in pieces, each of which looks broken alone."""


@dataclass(slots=True)
class ChartBook:
    """Charts by tenant."""

    states: dict[str, ChartState] = field(default_factory=dict)
    syncs: dict[str, SyncState] = field(default_factory=dict)
    serving: dict[Key, Serving] = field(default_factory=dict)
    compiled: dict[str, tuple[float, float]] = field(default_factory=dict)
    """When the last compilation ended and the seconds it took, which set the pace of the next one."""
    tenancy: Mapping[str, str] = field(default_factory=dict)

    def arrange(self, nodes: Iterable[Entry]) -> set[str]:
        """Find the tenants anew; return those that lost or gained a namespace."""
        former, self.tenancy = self.tenancy, tenants(e.model for e in nodes if e.model is not None)
        names = former.keys() | self.tenancy.keys()
        moved = [name for name in names if former.get(name) != self.tenancy.get(name)]
        return {t for name in moved for t in (former.get(name), self.tenancy.get(name)) if t is not None}

    def tenant_of(self, namespace: str) -> str:
        """Return the tenant that a namespace belongs to; a lonely one is its own."""
        return self.tenancy.get(namespace, namespace)

    def namespaces(self, tenant: str) -> tuple[str, ...]:
        """Return a tenant's namespaces."""
        return members(self.tenancy, tenant)

    def state_for(self, namespace: str) -> ChartState | None:
        """Return the chart that governs a namespace."""
        return self.states.get(self.tenant_of(namespace))

    def pace(self, tenant: str, now: float) -> float:
        """Return how long to gather changes before compiling again.

        While changes come in a row compiling takes a share of the time only; one after a rest is not kept.
        """
        state = self.states.get(tenant)
        settled = state is not None and state.snapshot is not None
        ended, seconds = self.compiled.get(tenant, (now, 0.0))
        rest = min(_LONGEST_SECONDS, ended + _REST * seconds - now)
        return max(_GATHERING_SECONDS if settled else _SETTLING_SECONDS, rest)
