"""How many replicas an agent should have now."""

from dataclasses import dataclass

from cadre_api.v1alpha1 import AgentSpec, Lifecycle, Scaling


@dataclass(frozen=True, slots=True)
class Demand:
    """What the controller knows of an agent's work."""

    tasks: int
    """Queued and running."""
    idle_seconds: float
    """Since it last had any."""


def wanted_replicas(spec: AgentSpec, current: int, demand: Demand | None, idle_after: float) -> int:
    """Return the number of replicas; without news from the controller nothing is taken away."""
    if spec.lifecycle is Lifecycle.SUSPENDED:
        return 0
    if spec.replicas is not None:
        return spec.replicas
    scaling = spec.scaling or Scaling()
    if demand is None:
        return min(max(current, scaling.min), scaling.max)
    if demand.tasks > 0:
        needed = -(-demand.tasks // scaling.concurrency)
        return min(max(needed, scaling.min, 1), scaling.max)
    if demand.idle_seconds >= idle_after:
        return scaling.min
    return min(max(current, scaling.min), scaling.max)
