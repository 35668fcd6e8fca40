"""The directory: nodes, profiles, and what policy would say."""

from cadre_api.protocol.tasks import Evaluation
from cadre_controller.errors import NotFound
from cadre_controller.refusals import BadRequest
from cadre_controller.routes.models import EvaluateBody, Evaluated, ObjectBody
from cadre_controller.routes.public.reader import Reader, reader
from cadre_controller.routes.table import Answer, Call, Nothing, Scope, Table
from cadre_core.policy.request import (
    AgentResource,
    HostResource,
    ModelResource,
    NodeResource,
    PolicyRequest,
    Resource,
    ToolResource,
)

TABLE = Table(Scope.PERSON)
_PERSON = "person:"


@TABLE.get("/directory/{nodeId}", Nothing, ObjectBody)
async def node(call: Call[Nothing]) -> Answer:
    """A node with its place in the chart; the id is `namespace.name` or a bare name."""
    tenant = reader(call).actor.tenant
    key = call.path("nodeId").replace(".", "/", 1)
    return ObjectBody(item=call.runtime.services.directory.node(tenant, key))


@TABLE.get("/roles/{role}/profile", Nothing, ObjectBody)
async def profile(call: Call[Nothing]) -> Answer:
    """A role's profile with everything it inherits."""
    tenant = reader(call).actor.tenant
    return ObjectBody(item=dict(call.runtime.services.directory.role_profile(tenant, call.path("role"))))


@TABLE.post("/evaluate", EvaluateBody, Evaluated)
async def evaluate(call: Call[EvaluateBody]) -> Answer:
    """Would policy permit this? Nothing happens but the answer, with its reasons."""
    who, asked = reader(call), call.input
    subject, place = _subject(who, asked.subject)
    request = PolicyRequest(
        subject=subject,
        subject_node=place,
        action=asked.action,
        resource=_resource(asked.resource),
        args=asked.args,
        data_classes=frozenset(asked.data_classes),
    )
    decision = call.runtime.services.directory.evaluate(who.actor.tenant, request)
    evaluation = Evaluation(
        effect=decision.effect, rules=decision.rules, reason=decision.reason, message=decision.message
    )
    return Evaluated(evaluation=evaluation)


def _subject(who: Reader, subject: str) -> tuple[str, str]:
    directory, tenant, snapshot = who.runtime.services.directory, who.actor.tenant, who.chart.snapshot
    if subject.startswith(_PERSON):
        person = directory.person_actor(tenant, subject.removeprefix(_PERSON)).person
        nodes = (
            node.key for node in snapshot.nodes.values() if any(m.person == person for m in node.members)
        )
        return f"{_PERSON}{person}", next(nodes, snapshot.root)
    agent = snapshot.agents.get(directory.agent_key(tenant, subject))
    if agent is None:
        raise NotFound("UnknownAgent", f"there is no agent {subject}", "see `cadre get agents`")
    return agent.key, agent.node


def _resource(given: dict[str, object]) -> Resource:
    text = {key: str(value) for key, value in given.items()}
    match text:
        case {"server": server, "tool": tool}:
            return ToolResource(server, tool, text.get("effects", ""))
        case {"provider": provider, "model": model}:
            return ModelResource(provider, model, text.get("locality", "Cloud"))
        case {"agent": agent}:
            return AgentResource(agent, text.get("node", ""))
        case {"node": node}:
            return NodeResource(node)
        case {"host": host}:
            return HostResource(host)
        case _:
            raise BadRequest(
                "resource: names nothing that policy knows",
                "give {server, tool}, {provider, model}, {agent}, {node} or {host}",
            )
