"""What a decision is based on: the checked arguments, the variables of conditions, and their outcome."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cadre_api.protocol.base import Effect
from cadre_core import cel
from cadre_core.arguments import check_arguments
from cadre_core.canonical import CanonicalError, canonical_json, digest, plain
from cadre_core.model import EffectiveTool, Rule, Snapshot
from cadre_core.policy.request import (
    AgentResource,
    HostResource,
    ModelResource,
    NodeResource,
    PolicyRequest,
    ToolResource,
)
from cadre_core.policy.sets import PolicyProgram


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a rule's condition counts as met; `failed` = by an error."""

    met: bool
    failed: bool = False


def argument_refusal(snapshot: Snapshot, request: PolicyRequest) -> tuple[str, str] | None:
    """Return (reason, message) when the arguments or the tool's schema are not what was reviewed."""
    tool = pinned_tool(snapshot, request)
    if tool is None or not isinstance(request.resource, ToolResource):
        return None
    try:
        if request.args_schema is not None and digest(request.args_schema) != digest(tool.input_schema):
            message = f"{tool.server}/{tool.tool} no longer has the schema that was pinned"
            return "SchemaChanged", f"{message}; have the ToolServer reviewed"
        if request.args is None:
            return None
        canonical_json(request.args)
    except CanonicalError as error:
        return error.reason, f"arguments of {tool.tool}: {error}"
    problems = check_arguments(tool.input_schema, request.args)
    return ("SchemaMismatch", "; ".join(problems)) if problems else None


def pinned_tool(snapshot: Snapshot, request: PolicyRequest) -> EffectiveTool | None:
    """Return the tool as the subject's profile has it."""
    agent = snapshot.agents.get(request.subject)
    target = request.resource
    if agent is None or not isinstance(target, ToolResource):
        return None
    wanted = (target.server, target.tool)
    return next((tool for tool in agent.tools if (tool.server, tool.tool) == wanted), None)


def outcomes(program: PolicyProgram, rules: tuple[Rule, ...], request: PolicyRequest) -> dict[str, Outcome]:
    """Work out every condition: an error or a non-boolean counts against the subject."""
    texts = {rule.when for rule in rules if rule.when}
    results = _results(program, texts, request) if texts else {}
    return {rule.id: _outcome(rule, results) for rule in rules}


def _outcome(rule: Rule, results: Mapping[str, bool | None]) -> Outcome:
    met = results[rule.when] if rule.when else True
    return Outcome(rule.effect is not Effect.ALLOW, failed=True) if met is None else Outcome(met)


def _results(program: PolicyProgram, texts: set[str], request: PolicyRequest) -> dict[str, bool | None]:
    # turning the variables into CEL's own values costs far more than a condition, so it is done once
    context = _guarded(lambda: cel.Context(_variables(program.snapshot, request)))
    return {text: None if context is None else _run(program, text, context) for text in texts}


def _run(program: PolicyProgram, text: str, context: object) -> bool | None:
    result = _guarded(lambda: program.conditions[text].execute(context))
    return result if isinstance(result, bool) else None


def _guarded(work: Callable[[], object]) -> object:
    try:
        return work()
    except Exception:
        return None
    except BaseException as error:  # a panic in the CEL library is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return None


def _variables(snapshot: Snapshot, request: PolicyRequest) -> dict[str, object]:
    found: dict[str, object] = {
        "data": {"classes": sorted(request.data_classes)},
        "subject": _subject(snapshot, request),
        "resource": _resource(snapshot, request),
        "task": plain(request.context.get("task", {})),
    }
    if request.args is not None:
        found["args"] = plain(request.args)
    return found


def _subject(snapshot: Snapshot, request: PolicyRequest) -> dict[str, str]:
    agent = snapshot.agents.get(request.subject)
    if agent is None:
        person = request.subject.removeprefix("person:")
        return {"agent": "", "person": person, "node": request.subject_node, "profile": "", "owner": person}
    return {
        "agent": agent.key,
        "person": "",
        "node": agent.node,
        "profile": agent.profile,
        "owner": agent.owner,
    }


def _resource(snapshot: Snapshot, request: PolicyRequest) -> dict[str, str]:
    names = ("server", "tool", "effects", "provider", "model", "locality", "agent", "node", "host")
    found = dict.fromkeys(names, "")
    match request.resource:
        case ToolResource(server, tool, _):
            pinned = pinned_tool(snapshot, request)
            found |= {"server": server, "tool": tool, "effects": pinned.effects if pinned else ""}
        case ModelResource(provider, model, locality):
            found |= {"provider": provider, "model": model, "locality": locality}
        case AgentResource(agent, _):
            known = snapshot.agents.get(agent)
            found |= {"agent": agent, "node": known.node if known else ""}
        case NodeResource(node):
            found |= {"node": node}
        case HostResource(host):
            found |= {"host": host}
    return found
