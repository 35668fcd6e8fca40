"""Choosing an agent: the core's routing, fed with live states and the policy's word on each candidate."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from cadre_api.protocol.base import ActorType, Effect
from cadre_api.protocol.tasks import RouteResult, TaskCreate
from cadre_controller.errors import Denied, NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.chart import ChartService
from cadre_controller.services.kernel import Kernel
from cadre_controller.services.models import LiveChart
from cadre_core.model import EffectiveAgent, Snapshot
from cadre_core.policy.decide import Decision, PolicyRequest, evaluate
from cadre_core.policy.request import TENANT_ADMIN, AgentResource
from cadre_core.routing import AgentState, RouteQuery, route

OFFLINE_AFTER = timedelta(seconds=60)


class Dispatcher:
    """Routes tasks."""

    def __init__(self, kernel: Kernel, chart: ChartService) -> None:
        self._kernel = kernel
        self._chart = chart

    async def choose(self, actor: Actor, body: TaskCreate) -> RouteResult:
        """The agent that should do it, with every candidate's terms; `agent` is empty when nobody may or
        can."""
        live = self._chart.current(actor.tenant)
        states = await self._states(actor.tenant)
        node = node_of(live.snapshot, actor)
        asker = actor.id.removeprefix("agent:") if actor.type is ActorType.AGENT else ""
        query = RouteQuery(
            agent=body.agent,
            role=body.role,
            skills=body.skills,
            recipe=body.recipe,
            exclude=frozenset({asker} if asker else ()),
            near=live.snapshot.nodes[node].path if node else (),
        )

        def decide(agent: EffectiveAgent) -> Decision:
            return _strict(route_decision(live, actor, agent, body))

        return route(live.snapshot, query, states, decide)

    async def require(self, actor: Actor, body: TaskCreate) -> RouteResult:
        """The same, or the refusal: NotFound(NoAgent…), Denied(PolicyDenied)."""
        result = await self.choose(actor, body)
        if result.agent:
            return result
        if result.reason == "PolicyDenied":
            notes = [
                c.terms[-1].note for c in result.candidates if c.terms and c.terms[-1].name == "permission"
            ]
            raise Denied(
                "PolicyDenied", notes[0] if notes else "policy gives nobody this task", "ask a tenant admin"
            )
        wanted = body.agent or body.role or ", ".join(body.skills) or "anyone"
        raise NotFound(
            result.reason, f"no agent can take this task ({wanted})", "try POST /api/v1/tasks/route"
        )

    async def _states(self, tenant: str) -> Mapping[str, AgentState]:
        now = self._kernel.clock.now()
        live = {row["agent"]: row for row in await self._kernel.db.fetch(tenant, "agents_live", tenant)}
        load = {row["agent"]: row for row in await self._kernel.db.fetch(tenant, "agent_load", tenant)}
        states = {}
        for agent in live.keys() | load.keys():
            seen = live.get(agent)
            fresh = seen is not None and now - seen["seen_at"] < OFFLINE_AFTER
            state = AgentState(seen["state"] if seen is not None and fresh else "Offline")
            if agent in load:
                oldest = load[agent]["oldest"]
                age = (now - oldest).total_seconds() if oldest is not None else 0.0
                busy, queued = load[agent]["running"], load[agent]["queued"]
                state = replace(state, running=busy, queued=queued, oldest_queued_seconds=age)
            states[agent] = state
        return states


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


def _strict(decision: Decision) -> Decision:
    """A route that needs an approval is not taken: there is nobody to wait for it yet."""
    if decision.effect is Effect.REQUIRE_APPROVAL:
        return replace(decision, effect=Effect.DENY)
    return decision
