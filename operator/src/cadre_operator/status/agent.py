"""The status of an agent: conditions from chart, consent, controller and pods, and from these the phase."""

from dataclasses import dataclass

from cadre_api.conditions import (
    AwaitingApprovalReason,
    ConditionType,
    EgressSealedReason,
    GuardReadyReason,
    PolicyCompliantReason,
    ReadyReason,
    ReconcilingReason,
    StalledReason,
)
from cadre_api.v1alpha1 import Phase
from cadre_core.manifests.settings import labels
from cadre_core.model import EffectiveAgent, Problem
from cadre_operator.admission.stamps import DECISION, HeldStamp
from cadre_operator.agents.consent import Consent, Standing
from cadre_operator.agents.pods import PodView
from cadre_operator.agents.rollout import Rollout
from cadre_operator.kube.fields import Json
from cadre_operator.status.common import (
    SyncState,
    accepted,
    awaiting_consent,
    controller_synced,
    how_to_consent,
)
from cadre_operator.status.conditions import Cond, StatusChange, change, condition
from cadre_operator.watch.entries import Entry


@dataclass(frozen=True, slots=True)
class AgentInput:
    """What the status of an agent is made from."""

    entry: Entry
    problems: tuple[Problem, ...]
    in_force: bool
    waiting: HeldStamp | None
    effective: EffectiveAgent | None
    consent: Consent | None
    sync: SyncState
    revision: str
    now: str
    wanted: int
    suspended: bool
    pods: tuple[PodView, ...]
    rollout: Rollout
    rollout_stopped: bool = False
    frozen: str = ""
    """Why it is frozen; empty = it is not."""
    failures: int = 0
    error: str = ""
    name_taken: bool = False
    """The error is that a part's name is somebody else's."""

    @property
    def current(self) -> tuple[PodView, ...]:
        """Pods that are not on their way out."""
        return tuple(pod for pod in self.pods if not pod.deleting)


_PATIENCE = 5
"""Failed attempts in a row after which work counts as stalled."""


def agent_status(given: AgentInput) -> StatusChange | None:
    """Return the status to write; None when it is written already or better waits for the controller."""
    synced = controller_synced(given.entry, given.in_force, given.sync, given.revision)
    if synced is None:
        return None
    first = accepted(given.problems, None if _owner_waits(given) else given.waiting)
    asking = _awaiting(given)
    ready = _ready(given, first, asking)
    conditions = [ready, first, _guard(given), _egress(given), synced, _compliant(given)]
    conditions += [c for c in (asking, _reconciling(given, ready), _stalled(given)) if c is not None]
    facts = _facts(given) | {"phase": _phase(given, ready, asking).value}
    return change(given.entry.status, given.entry.generation, conditions, facts, given.now)


def _owner_waits(given: AgentInput) -> bool:
    return given.waiting is not None and given.waiting.reason.startswith("OwnerConsent")


def _awaiting(given: AgentInput) -> Cond | None:
    kind = ConditionType.AWAITING_APPROVAL
    if given.waiting is not None:
        if not _owner_waits(given):
            return awaiting_consent(given.waiting)
        reason = AwaitingApprovalReason.OWNER_CONSENT_REQUIRED
        return condition(kind, True, reason, how_to_consent(given.waiting))
    if given.consent is None or given.consent.standing.may_apply:
        return None
    people = ", ".join(given.consent.ask) or "a tenant admin"
    text = f"ask {people} to set {DECISION}=approve:{given.consent.rights_hash}"
    if given.consent.standing is Standing.WIDENED:
        return condition(
            kind, True, AwaitingApprovalReason.RIGHTS_WIDENED, f"the former rights serve on; {text}"
        )
    return condition(kind, True, AwaitingApprovalReason.CONSENT_REQUIRED, text)


def _ready(given: AgentInput, first: Cond, asking: Cond | None) -> Cond:
    kind = ConditionType.READY
    if given.frozen:
        return condition(kind, False, ReadyReason.FROZEN, given.frozen)
    serving = sum(pod.ready for pod in given.current)
    enough = serving >= given.wanted and not given.rollout.coming
    if first.status != "True" and not (given.wanted and enough):
        return condition(kind, False, ReadyReason.NOT_ACCEPTED, "see Accepted")
    if given.effective is None and not (given.wanted and enough):
        message = "the tenant has no chart in force: other objects have problems"
        return condition(kind, False, ReadyReason.NOT_ACCEPTED, message)
    if asking is not None and not (given.wanted and enough):
        return condition(kind, False, ReadyReason.AWAITING_APPROVAL, "see AwaitingApproval")
    if given.suspended:
        if given.pods:
            return condition(kind, False, ReadyReason.DRAINING, f"{len(given.pods)} replicas are ending")
        return condition(kind, True, ReadyReason.SUSPENDED)
    if given.wanted == 0:
        return condition(kind, True, ReadyReason.IDLE)
    if enough:
        return condition(kind, True, ReadyReason.READY)
    return _not_ready(given, serving)


def _not_ready(given: AgentInput, serving: int) -> Cond:
    kind, count = ConditionType.READY, f"{serving} of {given.wanted} replicas are ready"
    if any(pod.egress for pod in given.current):
        return condition(kind, False, ReadyReason.EGRESS_NOT_SEALED, "see EgressSealed")
    broken = next((pod for pod in given.current if pod.agent_broken), None)
    if broken is not None:
        message = f"{count}; the agent in {broken.name}: {broken.agent_broken}"
        return condition(kind, False, ReadyReason.AGENT_CRASHED, message)
    if any(pod.guard_broken for pod in given.current):
        return condition(kind, False, ReadyReason.GUARD_NOT_READY, "see GuardReady")
    return condition(kind, False, ReadyReason.STARTING, count)


def _guard(given: AgentInput) -> Cond:
    kind = ConditionType.GUARD_READY
    broken = next((pod for pod in given.current if pod.guard_broken), None)
    if broken is not None:
        message = f"the guard in {broken.name}: {broken.guard_broken}"
        return condition(kind, False, GuardReadyReason.GUARD_FAILED, message)
    if not given.current:
        return condition(kind, None, GuardReadyReason.BUNDLE_PENDING, "no replica runs")
    if all(pod.guard_ready for pod in given.current):
        return condition(kind, True, GuardReadyReason.GUARD_READY)
    return condition(kind, False, GuardReadyReason.DETECTORS_LOADING)


def _egress(given: AgentInput) -> Cond:
    kind = ConditionType.EGRESS_SEALED
    told = next((pod for pod in given.current if pod.egress), None)
    if told is not None:
        message = f"{told.name}: the network is open; the agent is not started"
        return condition(kind, False, EgressSealedReason(told.egress), message)
    if given.current and all(pod.guard_started for pod in given.current):
        return condition(kind, True, EgressSealedReason.SEALED)
    return condition(kind, None, EgressSealedReason.PROBE_PENDING)


def _compliant(given: AgentInput) -> Cond:
    kind = ConditionType.POLICY_COMPLIANT
    if given.effective is None:
        return condition(kind, None, PolicyCompliantReason.COMPLIANT, "no version of it is in force")
    return condition(kind, True, PolicyCompliantReason.COMPLIANT)


def _reconciling(given: AgentInput, ready: Cond) -> Cond | None:
    kind = ConditionType.RECONCILING
    if given.rollout.under_way:
        left = f"{len(given.rollout.outdated)} replicas have the former configuration"
        waits = any(pod.deleting for pod in given.pods)
        reason = ReconcilingReason.WAITING_FOR_DRAIN if waits else ReconcilingReason.ROLLING_OUT
        return condition(kind, True, reason, left)
    if ready.reason in (ReadyReason.STARTING, ReadyReason.DRAINING):
        return condition(kind, True, ReconcilingReason.PROGRESSING, ready.message)
    return None


def _stalled(given: AgentInput) -> Cond | None:
    kind = ConditionType.STALLED
    if given.rollout_stopped or given.rollout.failed:
        message = "changed agents failed; correct the change or the failing agent"
        return condition(kind, True, StalledReason.ROLLOUT_STOPPED, message)
    if given.name_taken:
        return condition(kind, True, StalledReason.NAME_TAKEN, given.error)
    if given.failures >= _PATIENCE:
        return condition(kind, True, StalledReason.RETRIES_EXHAUSTED, given.error)
    return None


def _facts(given: AgentInput) -> Json:
    name = given.entry.key.name
    agent, written = given.effective, given.entry.status
    if agent is None:
        kept = ("selector", "profile", "owner", "model", "guardMode", "consent", "bundle")
        return _counts(given) | {field: written.get(field) for field in kept}
    work = agent.models.get("work", ())
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels(agent.tenant, name).items()))
    return _counts(given) | {
        "selector": selector,
        "profile": agent.profile.split("/")[-1],
        "owner": agent.owner.split("/")[-1] or None,
        "model": f"{work[0].provider.split('/')[-1]}/{work[0].model}" if work else None,
        "guardMode": agent.guard.mode,
        "consent": _consent(given.consent),
        "bundle": written.get("bundle"),
    }


def _counts(given: AgentInput) -> Json:
    ready = sum(pod.ready for pod in given.pods)
    return {"replicas": len(given.pods), "readyReplicas": ready}


def _consent(consent: Consent | None) -> Json | None:
    record = consent.record if consent is not None else None
    if record is None:
        return None
    namespace, _, name = record.by.partition("/")
    return {"rightsHash": record.rights_hash, "by": {"name": name, "namespace": namespace}, "at": record.at}


def _phase(given: AgentInput, ready: Cond, asking: Cond | None) -> Phase:
    if given.frozen:
        return Phase.FROZEN
    if asking is not None and ready.status != "True":
        return Phase.AWAITING_APPROVAL
    if given.suspended:
        return Phase.SUSPENDED if ready.status == "True" else Phase.DRAINING
    if given.failures >= _PATIENCE or given.name_taken or ready.reason in _FAILED:
        return Phase.FAILED
    if ready.status == "True":
        return Phase.IDLE
    return Phase.PENDING if ready.reason is ReadyReason.NOT_ACCEPTED else Phase.STARTING


_FAILED = (
    ReadyReason.AGENT_CRASHED,
    ReadyReason.EGRESS_NOT_SEALED,
    ReadyReason.GUARD_NOT_READY,
)
