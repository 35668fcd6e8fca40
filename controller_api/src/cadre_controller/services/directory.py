"""The chart as questions: who sits where, what a role is, may this be done, which agents are there."""

from collections.abc import Mapping
from dataclasses import asdict, replace

from cadre_api.data_classes import DataClass
from cadre_api.protocol.base import ActorType, type_json
from cadre_controller.errors import Conflict, NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.chart import ChartService
from cadre_controller.services.freezer import Freezer
from cadre_controller.services.kernel import Kernel
from cadre_controller.services.models import AgentRow, LiveAgent
from cadre_controller.store.pool import Row
from cadre_core.model import EffectiveAgent, Node
from cadre_core.policy.decide import Decision, PolicyRequest, evaluate

ADMIN_CLASSES = frozenset(c.value for c in DataClass) - {DataClass.CREDENTIALS.value}


class DirectoryService:
    """Reads of the chart, with live state where there is any."""

    def __init__(self, kernel: Kernel, chart: ChartService, freezer: Freezer) -> None:
        self._kernel = kernel
        self._chart = chart
        self._freezer = freezer

    def node(self, tenant: str, node_id: str) -> type_json:
        """A node by key or bare name, with its path, members, children and agents. Raises
        NotFound(UnknownNode)."""
        snapshot = self._chart.current(tenant).snapshot
        key = _pick(node_id, snapshot.nodes, "UnknownNode", "node")
        node = snapshot.nodes[key]
        children = sorted(n.key for n in snapshot.nodes.values() if len(n.path) > 1 and n.path[-2] == key)
        agents = sorted(a.key for a in snapshot.agents.values() if a.node == key)
        return _node_json(node) | {"children": children, "agents": agents}

    def role_profile(self, tenant: str, role: str) -> Mapping[str, object]:
        """A role's merged profile by key or bare name. Raises NotFound(UnknownRole)."""
        profiles = self._chart.current(tenant).snapshot.profiles
        return profiles[_pick(role, profiles, "UnknownRole", "role profile")]

    def evaluate(self, tenant: str, request: PolicyRequest) -> Decision:
        """What policy says. Raises NotFound(ChartMissing)."""
        return evaluate(self._chart.current(tenant).program, request)

    async def agents(self, tenant: str) -> tuple[AgentRow, ...]:
        """Every agent of the chart and what is known of it now."""
        snapshot = self._chart.current(tenant).snapshot
        live = {row["agent"]: row for row in await self._kernel.db.fetch(tenant, "agents_live", tenant)}
        load = {row["agent"]: row for row in await self._kernel.db.fetch(tenant, "agent_load", tenant)}
        frozen = self._freezer.agents(tenant)
        rows = (_agent_row(agent, live.get(k), load.get(k)) for k, agent in sorted(snapshot.agents.items()))
        return tuple(
            replace(row, frozen=frozen[row.key].reason) if row.key in frozen else row for row in rows
        )

    def resources(self, tenant: str, kind: str) -> tuple[type_json, ...]:
        """Documents of a kind as applied. Raises NotFound(UnknownKind)."""
        return self._chart.documents(tenant, kind)

    def person_actor(self, tenant: str, person: str) -> Actor:
        """A person by chart key or bare name, as an actor with opaque id. Raises NotFound(UnknownPerson)."""
        snapshot = self._chart.current(tenant).snapshot
        key = _pick(person, snapshot.persons, "UnknownPerson", "person")
        spec = snapshot.persons[key]
        opaque = self._kernel.keystore.tenant(tenant).person_id(spec.issuer, spec.subject)
        return Actor(tenant, ActorType.PERSON, opaque, "", key, spec.clearance)

    def admin_actor(self, tenant: str) -> Actor:
        """The tenant admin of a desktop, who is nobody in the chart: sees every class but credentials,
        approves nothing."""
        return Actor(tenant, ActorType.PERSON, "admin:desktop", "TenantAdmin", "", ADMIN_CLASSES)

    def node_key(self, tenant: str, name: str) -> str:
        """A node by key or bare name. Raises NotFound(UnknownNode), Conflict(AmbiguousName)."""
        return _pick(name, self._chart.current(tenant).snapshot.nodes, "UnknownNode", "node")

    def agent_key(self, tenant: str, name: str) -> str:
        """An agent by key or bare name. Raises NotFound(UnknownAgent), Conflict(AmbiguousName)."""
        return _pick(name, self._chart.current(tenant).snapshot.agents, "UnknownAgent", "agent")

    def tenant_of_agent(self, agent: str) -> str:
        """The tenant whose chart has this agent key. Raises NotFound(UnknownAgent)."""
        for tenant in self._chart.tenants():
            if agent in self._chart.current(tenant).snapshot.agents:
                return tenant
        raise NotFound("UnknownAgent", f"no chart has an agent {agent}", "apply a chart with it")


def _pick(name: str, known: Mapping[str, object], reason: str, what: str) -> str:
    """A key by itself or by its bare name."""
    if name in known:
        return name
    found = [key for key in known if key.split("/")[-1] == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise Conflict("AmbiguousName", f"{name} names {', '.join(sorted(found))}", "give namespace/name")
    raise NotFound(reason, f"there is no {what} {name}", "names are as in the chart")


def _node_json(node: Node) -> type_json:
    return {
        "key": node.key,
        "type": node.type,
        "title": node.title,
        "path": list(node.path),
        "members": [{"person": m.person, "roles": sorted(m.roles)} for m in node.members],
        "locale": dict(node.locale),
        "budget": asdict(node.budget) if node.budget is not None else None,
    }


def _agent_row(agent: EffectiveAgent, live: Row | None, load: Row | None) -> AgentRow:
    state = None
    if live is not None:
        state = LiveAgent(
            agent=agent.key,
            instance=live["instance"],
            state=live["state"],
            agent_version=live["agent_version"],
            boundary=live["boundary"],
            bundle_generation=live["bundle_generation"],
            reason=live["reason"],
            seen_at=live["seen_at"],
            queued=load["queued"] if load is not None else 0,
            running=load["running"] if load is not None else 0,
        )
    return AgentRow(
        key=agent.key,
        node=agent.node,
        profile=agent.profile,
        title=agent.title,
        purpose=agent.purpose,
        owner=agent.owner,
        lifecycle=agent.lifecycle,
        live=state,
        queued=load["queued"] if load is not None else 0,
    )
