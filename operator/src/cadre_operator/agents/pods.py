"""What an agent's pods tell: who is ready, who failed and why, whether the way out is sealed.

A guard that finds the network open, or cannot start, ends with a word from `EgressSealedReason` as its
termination message; that is the only way it can speak to us, as it may not use the cluster's API.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cadre_operator.kube.fields import at, items, number, text
from cadre_operator.watch.entries import Child

GUARD = "guard"
AGENT = "agent"
REVISION_LABEL = "controller-revision-hash"
_BROKEN = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod, as far as we care."""

    name: str
    uid: str
    revision: str
    ready: bool
    deleting: bool
    guard_started: bool
    guard_ready: bool
    guard_broken: str
    agent_broken: str
    egress: str
    """What the guard said of the network when it last ended; empty = nothing."""

    @property
    def ordinal(self) -> int:
        """The pod's number within its workload."""
        number_text = self.name.rpartition("-")[2]
        return int(number_text) if number_text.isdecimal() else 0

    @property
    def broken(self) -> bool:
        """Whether it will not become ready by waiting."""
        return bool(self.guard_broken or self.agent_broken or self.egress)


def pod_views(children: Iterable[Child]) -> tuple[PodView, ...]:
    """Read the pods among an agent's objects, lowest ordinal first."""
    return tuple(sorted((_view(c) for c in children if c.kind == "Pod"), key=lambda pod: pod.ordinal))


def _view(pod: Child) -> PodView:
    status = at(pod.facts, "status")
    guard = _container(status, "initContainerStatuses", GUARD) or _container(
        status, "containerStatuses", GUARD
    )
    agent = _container(status, "containerStatuses", AGENT)
    conditions = {text(c, "type"): text(c, "status") for c in items(status, "conditions")}
    return PodView(
        name=pod.name,
        uid=pod.uid,
        revision=text(pod.facts, "labels", REVISION_LABEL),
        ready=conditions.get("Ready") == "True" and not pod.deleting,
        deleting=pod.deleting,
        guard_started=at(guard, "started") is True,
        guard_ready=at(guard, "ready") is True,
        guard_broken=_broken(guard),
        agent_broken=_broken(agent),
        egress=_egress(guard),
    )


def _container(status: object, group: str, name: str) -> Mapping[str, object]:
    return next((c for c in items(status, group) if text(c, "name") == name), {})


def _broken(container: Mapping[str, object]) -> str:
    reason = text(container, "state", "waiting", "reason")
    if reason in _BROKEN:
        return reason
    return "CrashLoopBackOff" if number(container, "restartCount") > 2 and _ended(container) else ""


def _ended(container: Mapping[str, object]) -> bool:
    return at(container, "state", "terminated") is not None


def _egress(guard: Mapping[str, object]) -> str:
    if at(guard, "started") is True:
        return ""
    for state in ("state", "lastState"):
        message = text(guard, state, "terminated", "message").strip()
        if message in ("ProbeAnswered", "NotEnforceable"):
            return message
    return ""
