"""Choosing agents: the core's routing, fed with live states and the policy's word on each candidate."""

from collections import OrderedDict
from dataclasses import dataclass, field

from cadre_api.protocol.base import ActorType
from cadre_api.protocol.tasks import RouteResult, TaskCreate
from cadre_controller.errors import Denied, NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.chart import ChartService
from cadre_controller.services.live_states import LiveStates
from cadre_controller.services.models import LiveChart
from cadre_core.model import EffectiveAgent, Snapshot
from cadre_core.policy.decide import Decision, PolicyProgram, PolicyRequest, evaluate
from cadre_core.policy.request import TENANT_ADMIN, AgentResource
from cadre_core.routing import RouteQuery, route

DECISIONS = 20_000


@dataclass(slots=True)
class _Decisions:
    """What a tenant's policies have said so far."""

    program: PolicyProgram
    found: OrderedDict[tuple[object, ...], Decision] = field(default_factory=OrderedDict)


class Dispatcher:
    """Routes tasks."""

    def __init__(self, chart: ChartService, live: LiveStates) -> None:
        self._chart = chart
        self.live = live
        self._decisions: dict[str, _Decisions] = {}

    async def choose(self, actor: Actor, body: TaskCreate) -> RouteResult:
        """The agents that should do it, with the terms of the best; `agent` is empty when nobody may or
        can."""
        live = self._chart.current(actor.tenant)
        node = node_of(live.snapshot, actor)
        asker = actor.id.removeprefix("agent:") if actor.type is ActorType.AGENT else ""
        query = RouteQuery(
            agent=body.agent,
            role=body.role,
            skills=body.skills,
            recipe=body.recipe,
            languages=body.languages,
            residency=body.data_residency,
            exclude=frozenset({*body.exclude, asker} - {""}),
            near=live.snapshot.nodes[node].path if node else (),
            wanted=body.fan_out.count if body.fan_out is not None else 1,
        )
        board = await self.live.board(actor.tenant, live.index)
        found = route(board, query, lambda agent: self._decide(live, actor, agent, body))
        self.live.given(actor.tenant, found.agents)
        return found

    def decision(self, actor: Actor, agent: EffectiveAgent, body: TaskCreate) -> Decision:
        """What policy says of this agent getting this task."""
        return self._decide(self._chart.current(actor.tenant), actor, agent, body)

    def _decide(self, live: LiveChart, actor: Actor, agent: EffectiveAgent, body: TaskCreate) -> Decision:
        """The policy's word, kept as long as the policies: it depends on nothing but this key."""
        known = self._decisions.get(actor.tenant)
        if known is None or known.program is not live.program:
            known = self._decisions[actor.tenant] = _Decisions(live.program)
        key = (policy_subject(actor), agent.key, body.role, body.recipe, body.priority)
        if key not in known.found:
            known.found[key] = route_decision(live, actor, agent, body)
            while len(known.found) > DECISIONS:
                known.found.popitem(last=False)
        return known.found[key]

    async def require(self, actor: Actor, body: TaskCreate) -> RouteResult:
        """The same, or the refusal: NotFound(NoAgent…), Denied(PolicyDenied)."""
        result = await self.choose(actor, body)
        if result.agent:
            return result
        if result.reason == "PolicyDenied":
            refused = (c for c in result.candidates if c.terms and c.terms[-1].name == "permission")
            notes = [c.terms[-1].note for c in refused]
            raise Denied(
                "PolicyDenied", notes[0] if notes else "policy gives nobody this task", "ask a tenant admin"
            )
        wanted = body.agent or body.role or ", ".join(body.skills) or "anyone"
        raise NotFound(
            result.reason, f"no agent can take this task ({wanted})", "cadre task run --dry-run says why"
        )


def route_decision(live: LiveChart, actor: Actor, agent: EffectiveAgent, body: TaskCreate) -> Decision:
    """May the actor give this agent a task?"""
    task = {
        "id": "",
        "requester": actor.person or actor.id,
        "role": body.role,
        "recipe": body.recipe,
        "priority": body.priority,
        "attempt": 0,
    }
    request = PolicyRequest(
        subject=policy_subject(actor),
        subject_node=node_of(live.snapshot, actor),
        action="RouteTask",
        resource=AgentResource(agent.key, agent.node),
        context={"task": task},
    )
    return evaluate(live.program, request)


def policy_subject(actor: Actor) -> str:
    """The actor in the policy's words."""
    if actor.type is ActorType.AGENT:
        return actor.id.removeprefix("agent:")
    return f"person:{actor.person}" if actor.person else TENANT_ADMIN


def node_of(snapshot: Snapshot, actor: Actor) -> str:
    """Where the actor acts from: an agent's node, the lowest node a person is a member of, the root for an
    admin."""
    if actor.type is ActorType.AGENT:
        agent = snapshot.agents.get(actor.id.removeprefix("agent:"))
        return agent.node if agent is not None else ""
    if not actor.person:
        return snapshot.root
    homes = [n for n in snapshot.nodes.values() if any(m.person == actor.person for m in n.members)]
    return max(homes, key=lambda n: (len(n.path), n.key)).key if homes else ""
