"""Stop: what a freeze holds, who may freeze, who may thaw, and how long agents stood still.

A freeze is in force with the rank of whoever spoke: the highest node on the way down to the target at which
they are Head. To thaw it takes the same rank or a higher one: nobody undoes what was stopped above them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cadre_api.protocol.freeze import DeclaredFreeze, FreezeScope, FreezeSource
from cadre_api.v1alpha1 import Agent, OrgNode, Resource
from cadre_core.model import EffectiveAgent, Snapshot
from cadre_core.policy.ceiling import roles_at
from cadre_core.policy.request import TENANT_ADMIN
from cadre_core.resources import key_of

NOBODY = ""
"""Rank of a break-glass freeze: any head on the way thaws it."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """A freeze in force."""

    scope: FreezeScope
    target: str
    """Key of a node or agent; empty for the tenant."""
    reason: str
    source: FreezeSource
    rank: str
    """Key of the node whose heads, and those above, may thaw it; NOBODY as said there."""
    by: str
    """Opaque id of who froze."""
    at: datetime
    break_glass: bool = False

    @property
    def identity(self) -> tuple[str, str, str]:
        """What there is one of."""
        return (self.scope.value, self.target, self.source.value)

    def covers(self, agent: EffectiveAgent) -> bool:
        """Whether it holds this agent."""
        match self.scope:
            case FreezeScope.TENANT:
                return True
            case FreezeScope.NODE:
                return self.target in agent.path
            case FreezeScope.AGENT:
                return self.target == agent.key


def frozen_agents(snapshot: Snapshot, freezes: Iterable[Freeze]) -> dict[str, Freeze]:
    """Return agent -> the freeze that has held it longest."""
    found: dict[str, Freeze] = {}
    for freeze in sorted(freezes, key=lambda f: (f.at, f.identity), reverse=True):
        found |= {agent.key: freeze for agent in snapshot.agents.values() if freeze.covers(agent)}
    return found


def path_to(snapshot: Snapshot, scope: FreezeScope, target: str) -> tuple[str, ...] | None:
    """Return the nodes from the root down to a target; None when the chart does not have it."""
    if scope is FreezeScope.TENANT:
        return (snapshot.root,)
    if scope is FreezeScope.NODE:
        return snapshot.nodes[target].path if target in snapshot.nodes else None
    return snapshot.agents[target].path if target in snapshot.agents else None


def rank_of(snapshot: Snapshot, person: str, scope: FreezeScope, target: str) -> str | None:
    """Return the highest node on the way to the target where the person is Head; None when there is none.

    `person` is a person key, or TENANT_ADMIN, whose rank is the root's.
    """
    if person == TENANT_ADMIN or "Head" in roles_at(snapshot, person, snapshot.root):
        return snapshot.root
    path = path_to(snapshot, scope, target) or ()
    return next((node for node in path if "Head" in roles_at(snapshot, person, node)), None)


def may_thaw(snapshot: Snapshot, person: str, freeze: Freeze) -> bool:
    """Whether a person may take a freeze back."""
    mine = rank_of(snapshot, person, freeze.scope, freeze.target)
    if mine is None:
        return False
    path = path_to(snapshot, freeze.scope, freeze.target) or (snapshot.root,)
    if freeze.rank == NOBODY or freeze.rank not in path:
        return freeze.rank == NOBODY or mine == snapshot.root
    return path.index(mine) <= path.index(freeze.rank)


def heads_towards(snapshot: Snapshot, scope: FreezeScope, target: str) -> tuple[str, ...]:
    """Return the heads on the way to a target, the nearest first: whom to ask."""
    path = path_to(snapshot, scope, target) or (snapshot.root,)
    nodes = [snapshot.nodes[node] for node in reversed(path) if node in snapshot.nodes]
    return tuple(dict.fromkeys(m.person for node in nodes for m in node.members if "Head" in m.roles))


def declared_freezes(models: Iterable[Resource]) -> tuple[DeclaredFreeze, ...]:
    """Return what objects say in `spec.freeze`."""
    found = []
    for model in models:
        if isinstance(model, Agent | OrgNode) and model.spec.freeze is not None:
            scope = FreezeScope.AGENT if isinstance(model, Agent) else FreezeScope.NODE
            found.append(DeclaredFreeze(scope=scope, target=key_of(model), reason=model.spec.freeze.reason))
    return tuple(sorted(found, key=lambda f: (f.scope.value, f.target)))


def stood_still(thawed: Freeze, others: Iterable[Freeze], now: datetime) -> timedelta:
    """Return how long an agent stood still by `thawed` alone; what others still hold counts with them."""
    end = min((other.at for other in others), default=now)
    return max(min(end, now) - thawed.at, timedelta())
