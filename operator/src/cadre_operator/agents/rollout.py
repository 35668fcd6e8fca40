"""Which pod goes next when an agent's configuration changed: one at a time, the highest first.

The workload updates on delete only. A deleted pod ends when its guard says that no turn runs (preStop), so a
change never kills work; what we decide here is merely the order and the pace, over replicas and over agents.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cadre_operator.agents.pods import PodView
from cadre_operator.kube.fields import number, text
from cadre_operator.watch.entries import Child


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where a rollout stands."""

    outdated: tuple[PodView, ...] = ()
    """Pods of a former configuration, highest ordinal first."""
    coming: bool = False
    """A replaced pod is not ready, or not even there, yet."""
    failed: bool = False
    """A replaced pod will not become ready."""

    @property
    def under_way(self) -> bool:
        """Whether pods of the agent are being replaced, or have to be."""
        return bool(self.outdated) or self.coming


def rollout_of(workload: Child | None, pods: Sequence[PodView]) -> Rollout:
    """Compare the pods with the workload; nothing is known until its controller has seen the latest spec."""
    if workload is None or workload.deleting:
        return Rollout()
    status = workload.facts.get("status")
    if number(status, "observedGeneration") != number(workload.facts, "generation"):
        return Rollout()
    wanted = text(status, "updateRevision")
    if not wanted:
        return Rollout()
    outdated = tuple(sorted((p for p in pods if p.revision != wanted), key=lambda p: -p.ordinal))
    fresh = [p for p in pods if p.revision == wanted]
    missing = len(pods) < number(workload.facts, "replicas")
    replaced = wanted != text(status, "currentRevision")
    return Rollout(
        outdated=outdated,
        coming=replaced and (missing or any(not p.ready for p in fresh)),
        failed=replaced and any(p.broken for p in fresh),
    )


def next_to_delete(rollout: Rollout, pods: Sequence[PodView]) -> PodView | None:
    """Return the pod to replace now: a broken one at once, a working one when all others are ready."""
    candidates = [pod for pod in rollout.outdated if not pod.deleting]
    if not candidates or rollout.failed or any(pod.deleting for pod in pods):
        return None
    broken = next((pod for pod in candidates if pod.broken), None)
    if broken is not None:
        return broken
    chosen = candidates[0]
    others_ready = not rollout.coming and all(pod.ready for pod in pods if pod.uid != chosen.uid)
    return chosen if others_ready else None
