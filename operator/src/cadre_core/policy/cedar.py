"""Rules as Cedar policies and the chart as Cedar entities (Cedar JSON formats, docs.cedarpolicy.com).

A rule's condition is not Cedar: Cedar skips a policy whose condition errors, so a Deny would vanish. The
condition reaches Cedar as a boolean in the context, worked out beforehand with errors on the safe side.

Node::k holds everything in the subtree of k, NodeOnly::k what is at k itself, Profile::k all agents whose
role is or inherits k, ProfileOnly::k those made from it. Place::k is a node as a thing that is acted on.
"""

from collections.abc import Mapping

from cadre_api.protocol.base import Effect
from cadre_core.model import Rule, Snapshot
from cadre_core.policy.request import AgentResource, ModelResource, NodeResource, Resource, ToolResource
from cadre_core.scope import subjects_of

Json = dict[str, object]
BASE_ID = "base"
"""The permit that stands for what the chart allows by itself."""


def uid(kind: str, key: str) -> Json:
    """Return an entity reference."""
    return {"type": kind, "id": key}


def entities(snapshot: Snapshot) -> list[Json]:
    """Return the chart: who is where, which tool is of which server."""
    found = [_entity("NodeOnly", key) for key in snapshot.nodes]
    for key, node in snapshot.nodes.items():
        found.append(_entity("Node", key, *(uid("Node", above) for above in node.path[-2:-1])))
        found.append(_entity("Place", key, uid("Node", key), uid("NodeOnly", key)))
    for key, agent in snapshot.agents.items():
        profiles = (uid("Profile", name) for name in agent.profile_lineage)
        places = (uid("Node", agent.node), uid("NodeOnly", agent.node))
        found.append(_entity("Agent", key, *places, *profiles, uid("ProfileOnly", agent.profile)))
    found += [_entity("Person", key, *_places(snapshot, key)) for key in snapshot.persons]
    tools = {(t.server, t.tool) for agent in snapshot.agents.values() for t in agent.tools}
    found += [_entity("Tool", f"{server}/{tool}", uid("Server", server)) for server, tool in sorted(tools)]
    for key, provider in snapshot.providers.items():
        found += [_entity("Model", f"{key}/{model}", uid("Provider", key)) for model in provider.models]
    return found


def _entity(kind: str, key: str, *parents: Json) -> Json:
    return {"uid": uid(kind, key), "attrs": {}, "parents": list(parents)}


def _places(snapshot: Snapshot, person: str) -> list[Json]:
    at = [key for key, node in snapshot.nodes.items() if any(m.person == person for m in node.members)]
    return [uid(kind, key) for key in at for kind in ("Node", "NodeOnly")]


def resource_uid(resource: Resource) -> Json:
    """Return the entity that is acted on."""
    match resource:
        case ToolResource():
            return uid("Tool", f"{resource.server}/{resource.tool}")
        case ModelResource():
            return uid("Model", f"{resource.provider}/{resource.model}")
        case AgentResource():
            return uid("Agent", resource.agent)
        case NodeResource():
            return uid("Place", resource.node)
        case _:
            return uid("Host", resource.host)


def static_policies(rules: tuple[Rule, ...], effect: str, base: bool) -> Json:
    """Return a Cedar policy set; `effect` "" keeps the rules' own (Deny = forbid), else all get that one."""
    policies = {rule.id: _policy(rule, effect or _cedar_effect(rule)) for rule in rules}
    if base:
        policies[BASE_ID] = _static("permit", _is_true(_context("base")))
    return {"staticPolicies": policies, "templates": {}, "templateLinks": []}


def _cedar_effect(rule: Rule) -> str:
    return "forbid" if rule.effect is Effect.DENY else "permit"


def _policy(rule: Rule, effect: str) -> Json:
    subjects = [_subject(rule, key, kind) for key, kind in subjects_of(rule)]
    body = _and(_in("principal", subjects), _is_true(_attribute(_context("when"), rule.id)))
    return _static(effect, _and(_resources(rule.resources), body) if rule.resources else body)


def _subject(rule: Rule, key: str, kind: str) -> Json:
    if kind == "Profile" and rule.effect is Effect.ALLOW:
        return uid("ProfileOnly", key)
    return uid({"Subtree": "Node", "Node": "NodeOnly"}.get(kind, kind), key)


def _resources(resources: tuple[Mapping[str, object], ...]) -> Json:
    members: list[Json] = []
    tests: list[Json] = []
    for resource in resources:
        match resource:
            case {"server": server, **more}:
                members += _some("Tool", server, more.get("tools")) or [uid("Server", str(server))]
            case {"provider": provider, **more}:
                members += _some("Model", provider, more.get("models")) or [uid("Provider", str(provider))]
            case {"node": node, "scope": scope}:
                members.append(uid("Node" if scope == "Subtree" else "NodeOnly", str(node)))
            case {"agent": agent}:
                members.append(uid("Agent", str(agent)))
            case {"locality": locality}:
                tests.append(_equal(_context("locality"), locality))
            case _:
                host = {"Value": resource.get("host", "")}
                tests.append({"contains": {"left": _context("hosts"), "right": host}})
    return _any([*([_in("resource", members)] if members else []), *tests])


def _some(kind: str, source: object, names: object) -> list[Json]:
    return [uid(kind, f"{source}/{name}") for name in names] if isinstance(names, tuple) else []


def _static(effect: str, body: Json) -> Json:
    anything = {"op": "All"}
    return {
        "effect": effect,
        "principal": anything,
        "action": anything,
        "resource": anything,
        "conditions": [{"kind": "when", "body": body}],
    }


def _context(name: str) -> Json:
    return _attribute({"Var": "context"}, name)


def _attribute(left: Json, name: str) -> Json:
    return {".": {"left": left, "attr": name}}


def _equal(left: Json, value: object) -> Json:
    return {"==": {"left": left, "right": {"Value": value}}}


def _is_true(left: Json) -> Json:
    return _equal(left, True)


def _and(left: Json, right: Json) -> Json:
    return {"&&": {"left": left, "right": right}}


def _any(parts: list[Json]) -> Json:
    result = parts[0]
    for part in parts[1:]:
        result = {"||": {"left": result, "right": part}}
    return result


def _in(variable: str, members: list[Json]) -> Json:
    values = [{"Value": {"__entity": member}} for member in members]
    return {"in": {"left": {"Var": variable}, "right": {"Set": values}}}


def host_patterns(host: str) -> list[str]:
    """Return the host and every `*.` pattern that covers it."""
    labels = host.lower().rstrip(".").split(".")
    return [".".join(labels), *(f"*.{'.'.join(labels[i:])}" for i in range(1, len(labels)))]
