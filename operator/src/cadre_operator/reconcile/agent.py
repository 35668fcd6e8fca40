"""An agent: its objects, its replicas, the order of a rollout, its status."""

import logging
from dataclasses import dataclass, replace

from cadre_api.conditions import ConditionType, ReadyReason
from cadre_api.units import parse_duration
from cadre_api.v1alpha1 import Agent, Lifecycle, Scaling
from cadre_api.v1alpha1.agent import Phase
from cadre_core.model import EffectiveAgent
from cadre_operator.agents.children import Difference, compare
from cadre_operator.agents.consent import Consent, judge_consent, serving_of
from cadre_operator.agents.made import make, remembered, source_of
from cadre_operator.agents.pods import PodView, pod_views
from cadre_operator.agents.replicas import wanted_replicas
from cadre_operator.agents.rollout import Rollout, next_to_delete, rollout_of
from cadre_operator.chart.effective import held
from cadre_operator.chart.evaluate import ChartState
from cadre_operator.keys import Key, Priority
from cadre_operator.kube.fields import number, text, version_of
from cadre_operator.kube.port import KubeError, Ref
from cadre_operator.reconcile.chart import CHART
from cadre_operator.reconcile.parts import NameTakenError, send_parts
from cadre_operator.reconcile.write import write_status
from cadre_operator.status.agent import AgentInput, agent_status
from cadre_operator.status.common import SyncState
from cadre_operator.status.conditions import carried
from cadre_operator.watch.entries import Child, Entry
from cadre_operator.world import World

_LOG = logging.getLogger(__name__)
_ROLLOUT_POLL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Look:
    """One consistent look at an agent."""

    entry: Entry
    state: ChartState
    model: Agent | None
    """The version in force."""
    effective: EffectiveAgent | None
    consent: Consent | None
    children: tuple[Child, ...]
    pods: tuple[PodView, ...]
    rollout: Rollout
    current: int
    wanted: int
    suspended: bool

    @property
    def may_apply(self) -> bool:
        """Whether the agent's objects are to follow the chart in force."""
        return self.effective is not None and self.consent is not None and self.consent.standing.may_apply


async def reconcile_agent(world: World, key: Key) -> None:
    """Bring one agent up to date. Raises KubeError, after the status says so."""
    entry = world.store.entry(key)
    if entry is None or entry.deleting:
        _forget(world, key)
        return
    state = world.book.state_for(key.namespace)
    if state is None or state.fingerprints.get(key) != entry.fingerprint:
        world.charts.add(Key(CHART, world.book.tenant_of(key.namespace)))
        return
    if not entry.status.get("conditions"):
        world.first_seen.setdefault(key, world.clock())
    look = _look(world, entry, state)
    failure: KubeError | None = None
    stopped = False
    try:
        await _apply(world, look)
        stopped = await _roll(world, look)
    except KubeError as error:
        if error.busy:
            raise  # saying so would be one more request to a server that asked for fewer
        failure = error
    await _report(world, _look(world, entry, state), stopped, failure)
    if failure is not None:
        raise failure


def _look(world: World, entry: Entry, state: ChartState) -> _Look:
    key = entry.key
    model = state.models.get(key)
    agent = model if isinstance(model, Agent) else None
    effective = state.snapshot.agents.get(key.path) if state.snapshot is not None else None
    labelled = world.store.children(key.namespace, key.name)
    children = tuple(child for child in labelled if child.ours or child.kind == "Pod")
    workload = _workload(children)
    current = number(workload.facts, "replicas") if workload is not None else 0
    pods = pod_views(children)
    consent = _consent(world, entry, state, effective)
    return _Look(
        entry=entry,
        state=state,
        model=agent,
        effective=effective,
        consent=consent,
        children=children,
        pods=pods,
        rollout=rollout_of(workload, pods),
        current=current,
        wanted=_wanted(world, entry, agent, consent, current),
        suspended=_suspended(entry),
    )


def _workload(children: tuple[Child, ...]) -> Child | None:
    return next((child for child in children if child.kind == "StatefulSet"), None)


def _consent(
    world: World, entry: Entry, state: ChartState, effective: EffectiveAgent | None
) -> Consent | None:
    if effective is None or state.snapshot is None:
        return None
    serving = world.book.serving.get(entry.key)
    consent = judge_consent(entry, state.snapshot, effective, serving, world.seal_key)
    if consent.standing.may_apply:
        world.book.serving[entry.key] = serving_of(state.snapshot, effective)
    return consent


def _suspended(entry: Entry) -> bool:
    return isinstance(entry.model, Agent) and entry.model.spec.lifecycle is Lifecycle.SUSPENDED


def _frozen(world: World, entry: Entry) -> str:
    """Return why an agent is frozen; until the controller has been heard, what an earlier leader wrote."""
    if entry.key.path in world.frozen or world.controller is None:
        return world.frozen.get(entry.key.path, "")
    if text(entry.status, "phase") != Phase.FROZEN:
        return ""
    return text(carried(entry.status, ConditionType.READY), "message") or ReadyReason.FROZEN


def _wanted(world: World, entry: Entry, agent: Agent | None, consent: Consent | None, current: int) -> int:
    if _suspended(entry):
        return 0  # stopping is never held back by anything
    if _frozen(world, entry):
        return current  # its turns stand still in its pods
    if agent is None or consent is None or not consent.standing.may_apply:
        return current
    scaling = agent.spec.scaling or Scaling()
    idle_after = parse_duration(scaling.idle_after).total_seconds()
    return wanted_replicas(agent.spec, current, world.demand.get(entry.key.path), idle_after)


async def _apply(world: World, look: _Look) -> None:
    difference = _difference(world, look)
    if look.may_apply:
        await world.provide_trust(look.entry.key.namespace)
    known = {child.identity for child in look.children}
    await send_parts(world, difference.apply, known)
    workload = _workload(look.children)
    if difference.scale is not None and workload is not None:
        await _scale(world, workload, difference.scale)
    for child in difference.delete:
        await world.kube.delete(Ref(child.api_version, child.kind, child.namespace, child.name), child.uid)


def _difference(world: World, look: _Look) -> Difference:
    if not look.may_apply or look.model is None or look.state.snapshot is None:
        return Difference(scale=look.wanted if look.wanted != look.current else None)
    given = (look.state.snapshot, look.model, look.entry, world.cluster)
    source, made = source_of(*given), world.made.get(look.entry.key)
    if made is not None and made.source == source:
        world.made[look.entry.key] = made.again(source)
        difference = compare(made.stubs, look.children, look.wanted, world.reviewed)
        if not difference.apply:
            return difference
    objects = make(*given)
    world.made[look.entry.key] = remembered(source, objects)
    return compare(objects, look.children, look.wanted, world.reviewed)


async def _scale(world: World, workload: Child, replicas: int) -> None:
    ref = Ref(workload.api_version, workload.kind, workload.namespace, workload.name)
    answer = await world.kube.patch(ref, {"spec": {"replicas": replicas}}, "scale")
    facts = {**workload.facts, "replicas": replicas}
    world.store.applied(replace(workload, facts=facts, version=version_of(answer)))


async def _roll(world: World, look: _Look) -> bool:
    """Replace at most one pod; return whether the rollout of the tenant is stopped."""
    tenant, key = look.state.tenant, look.entry.key
    rolling = world.rolling.setdefault(tenant, set())
    failed = world.failed_rollouts.setdefault(tenant, set())
    (failed.add if look.rollout.failed else failed.discard)(key)
    if not look.rollout.under_way:
        rolling.discard(key)
        return False
    if look.rollout.coming:
        rolling.add(key)
    pod = next_to_delete(look.rollout, look.pods)
    if pod is None or _frozen(world, look.entry):
        return False
    if failed - {key}:
        world.objects.add(key, Priority.ROUTINE, _ROLLOUT_POLL_SECONDS)
        return not pod.broken
    if key not in rolling and len(rolling) >= _at_once(world, look.state):
        world.objects.add(key, Priority.ROUTINE, _ROLLOUT_POLL_SECONDS)
        return False
    rolling.add(key)
    _LOG.info("pod replaced", extra={"agent": key.path, "pod": pod.name})
    await world.kube.delete(Ref("v1", "Pod", key.namespace, pod.name), pod.uid)
    return False


def _at_once(world: World, state: ChartState) -> int:
    agents = len(state.snapshot.agents) if state.snapshot is not None else 0
    return max(1, agents * world.rolling_percent // 100)


async def _report(world: World, look: _Look, stopped: bool, failure: KubeError | None) -> None:
    state, key = look.state, look.entry.key
    given = AgentInput(
        entry=look.entry,
        problems=state.problems.get(key, ()),
        in_force=key in state.in_force,
        waiting=held(look.entry, world.seal_key),
        effective=look.effective,
        consent=look.consent,
        sync=world.book.syncs.get(state.tenant, SyncState()),
        revision=state.revision,
        now=world.now(),
        wanted=look.wanted,
        suspended=look.suspended,
        frozen=_frozen(world, look.entry),
        pods=look.pods,
        rollout=look.rollout,
        rollout_stopped=stopped,
        failures=world.objects.failures(key) + 1 if failure is not None else 0,
        error=str(failure or ""),
        name_taken=isinstance(failure, NameTakenError),
    )
    await write_status(world, look.entry, agent_status(given))


def _forget(world: World, key: Key) -> None:
    world.book.serving.pop(key, None)
    world.first_seen.pop(key, None)
    world.made.pop(key, None)
    world.demand.pop(key.path, None)
    world.frozen.pop(key.path, None)
    for group in (*world.rolling.values(), *world.failed_rollouts.values()):
        group.discard(key)
