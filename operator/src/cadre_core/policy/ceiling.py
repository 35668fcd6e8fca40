"""What is allowed before any rule is read: the profile's list for tools and models, membership for the rest.

| action | allowed without a rule |
|---|---|
| CallTool, UseModel | an agent whose effective tools or models hold it; no Allow rule lifts this ceiling |
| RouteTask, SendMessage, HandOff | a person with a role anywhere in the chart; an agent with the Mesh tool |
| ReadData | a person with a role at the node or as Head above it; an agent at the node itself |
| WriteState | an agent at the node itself |
| DecideApproval | Head or Approver at the node or above it |
| ExportAudit | Auditor at the node or above it, or Head of the root |
| Egress | nobody |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cadre_core.mesh import MESH
from cadre_core.model import EffectiveAgent, Snapshot
from cadre_core.policy.request import (
    TENANT_ADMIN,
    AgentResource,
    ModelResource,
    NodeResource,
    PolicyRequest,
    ToolResource,
)

_MESH_TOOL = {"RouteTask": "send_task", "HandOff": "send_task", "SendMessage": "notify"}


@dataclass(frozen=True, slots=True)
class Ceiling:
    """`hard` = not even an Allow rule lifts it; `rule` names what allowed it."""

    allowed: bool
    rule: str = ""
    hard: bool = False
    reason: str = "NotAllowed"
    message: str = "nothing in the chart allows this; ask the head of the node for a rule that does"


def ceiling(snapshot: Snapshot, request: PolicyRequest) -> Ceiling:
    """Say what the chart allows by itself. An unknown subject, action or target is a hard no."""
    if request.action not in _BASE:
        return _never("UnknownAction", f"{request.action} is not an action")
    target = request.resource
    if isinstance(target, AgentResource) and target.agent not in snapshot.agents:
        return _never("UnknownAgent", f"there is no agent {target.agent}")
    if isinstance(target, NodeResource) and target.node not in snapshot.nodes:
        return _never("UnknownNode", f"there is no node {target.node}")
    agent = snapshot.agents.get(request.subject)
    if agent is not None:
        if agent.lifecycle != "Running":
            return _never("Suspended", f"{agent.key} is {agent.lifecycle}")
        return _for_agent(snapshot, agent, request)
    return _for_person(snapshot, request)


def _never(reason: str, message: str) -> Ceiling:
    return Ceiling(False, hard=True, reason=reason, message=message)


def _for_agent(snapshot: Snapshot, agent: EffectiveAgent, request: PolicyRequest) -> Ceiling:
    target = request.resource
    if request.action == "CallTool":
        return _tool(snapshot, agent, target)
    if request.action == "UseModel":
        return _model(agent, target)
    rule = f"profile:{agent.profile}"
    if request.action in _MESH_TOOL:
        wanted = (MESH, _MESH_TOOL[request.action])
        return Ceiling(isinstance(target, AgentResource) and wanted in _pairs(agent), rule)
    own = isinstance(target, NodeResource) and target.node == agent.node
    return Ceiling(own and request.action in {"ReadData", "WriteState"}, f"default:{request.action}")


def _pairs(agent: EffectiveAgent) -> set[tuple[str, str]]:
    return {(tool.server, tool.tool) for tool in agent.tools}


def _tool(snapshot: Snapshot, agent: EffectiveAgent, target: object) -> Ceiling:
    if not isinstance(target, ToolResource):
        return _never("BadRequest", "CallTool needs a tool")
    if (target.server, target.tool) in _pairs(agent):
        return Ceiling(True, f"profile:{agent.profile}")
    server = snapshot.tool_servers.get(target.server)
    if server is not None and target.tool not in server.tools:
        return _never("UnknownTool", f"{target.server} pins no tool {target.tool}")
    return _never("NotInProfile", f"{target.server}/{target.tool} is not among the tools of {agent.profile}")


def _model(agent: EffectiveAgent, target: object) -> Ceiling:
    if not isinstance(target, ModelResource):
        return _never("BadRequest", "UseModel needs a model")
    listed = {(c.provider, c.model) for choices in agent.models.values() for c in choices}
    if (target.provider, target.model) in listed:
        return Ceiling(True, f"profile:{agent.profile}")
    return _never(
        "NotInProfile", f"{target.provider}/{target.model} is not among the models of {agent.profile}"
    )


def _for_person(snapshot: Snapshot, request: PolicyRequest) -> Ceiling:
    if request.action in {"CallTool", "UseModel"}:
        return _never("NotInProfile", f"{request.action} is for agents")
    if request.subject == TENANT_ADMIN:
        return Ceiling(request.action != "Egress", "default:tenant-admin")
    kind, _, person = request.subject.partition(":")
    if kind != "person" or person not in snapshot.persons:
        return _never("UnknownSubject", f"{request.subject} is not in the chart")
    allowed = _BASE[request.action](snapshot, person, request)
    return Ceiling(allowed, f"default:{request.action}")


def roles_at(snapshot: Snapshot, person: str, node: str) -> frozenset[str]:
    """Return a person's own roles at a node."""
    members = snapshot.nodes[node].members if node in snapshot.nodes else ()
    return frozenset(role for m in members if m.person == person for role in m.roles)


def roles_on_path(snapshot: Snapshot, person: str, node: str) -> frozenset[str]:
    """Return a person's roles at a node and everywhere above it."""
    path = snapshot.nodes[node].path if node in snapshot.nodes else ()
    return frozenset(role for step in path for role in roles_at(snapshot, person, step))


def _member(snapshot: Snapshot, person: str, request: PolicyRequest) -> bool:
    in_chart = any(m.person == person for node in snapshot.nodes.values() for m in node.members)
    return isinstance(request.resource, AgentResource) and in_chart


def _reader(snapshot: Snapshot, person: str, request: PolicyRequest) -> bool:
    if not isinstance(request.resource, NodeResource):
        return False
    node = request.resource.node
    return bool(roles_at(snapshot, person, node)) or "Head" in roles_on_path(snapshot, person, node)


def _decider(snapshot: Snapshot, person: str, request: PolicyRequest) -> bool:
    if not isinstance(request.resource, NodeResource):
        return False
    return bool(roles_on_path(snapshot, person, request.resource.node) & {"Head", "Approver"})


def _auditor(snapshot: Snapshot, person: str, request: PolicyRequest) -> bool:
    if not isinstance(request.resource, NodeResource):
        return False
    if "Head" in roles_at(snapshot, person, snapshot.root):
        return True
    return "Auditor" in roles_on_path(snapshot, person, request.resource.node)


def _nobody(snapshot: Snapshot, person: str, request: PolicyRequest) -> bool:
    return False


_BASE: Mapping[str, Callable[[Snapshot, str, PolicyRequest], bool]] = {
    "CallTool": _nobody,
    "UseModel": _nobody,
    "RouteTask": _member,
    "SendMessage": _member,
    "HandOff": _member,
    "ReadData": _reader,
    "WriteState": _nobody,
    "DecideApproval": _decider,
    "ExportAudit": _auditor,
    "Egress": _nobody,
}
