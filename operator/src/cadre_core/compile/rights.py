"""What one agent may use: what its profile lists, less what no server pins and what is narrowed away."""

import re
from collections.abc import Mapping

from cadre_api.v1alpha1 import Agent, ModelProvider
from cadre_core.canonical import digest
from cadre_core.compile.catalog import ANY_ARGUMENTS
from cadre_core.compile.draft import Draft, reference_key
from cadre_core.compile.profiles import MergedProfile, ToolEntry
from cadre_core.load.errors import did_you_mean
from cadre_core.mesh import BUILTIN_TOOLS
from cadre_core.model import (
    EffectiveAgent,
    EffectiveTool,
    ModelChoice,
    Rule,
    ToolServerSpec,
)
from cadre_core.scope import meaning

_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")
MAX_TOOL_NAME = 60
"""Model APIs take 64 characters; the guard's gateway adds its own prefix."""


def effective_tools(
    draft: Draft, agent: Agent, profile: MergedProfile, servers: Mapping[str, ToolServerSpec]
) -> tuple[EffectiveTool, ...]:
    """Return the agent's tools by name; two tools of one name are a problem, never a silent choice."""
    taken = _narrowed_tools(draft, agent, profile)
    found: dict[str, EffectiveTool] = {}
    for entry in profile.tools:
        for tool in _tools_of(entry, servers):
            if (entry.name, "") in taken or (entry.name, tool.tool) in taken:
                continue
            if tool.name in found or len(tool.name) > MAX_TOOL_NAME:
                message = f"the agent would see {tool.server}/{tool.tool} as {tool.name}"
                draft.refuse(
                    agent, "spec.profileRef", "BadToolName", message, "use another, short entry name"
                )
            found[tool.name] = tool
    return tuple(found[name] for name in sorted(found))


def _narrowed_tools(draft: Draft, agent: Agent, profile: MergedProfile) -> set[tuple[str, str]]:
    narrow = agent.spec.narrow.tools if agent.spec.narrow else ()
    entries = {entry.name for entry in profile.tools}
    taken: set[tuple[str, str]] = set()
    for i, tool in enumerate(narrow):
        if tool.name not in entries:
            message = f"profile {profile.key} has no tools entry {tool.name}"
            fix = did_you_mean(tool.name, sorted(entries))
            draft.refuse(agent, f"spec.narrow.tools[{i}].name", "UnknownTool", message, fix)
        taken |= {(tool.name, "")} if tool.deny is None else {(tool.name, rule.tool) for rule in tool.deny}
    return taken


def _tools_of(entry: ToolEntry, servers: Mapping[str, ToolServerSpec]) -> list[EffectiveTool]:
    kind, _, name = entry.source.partition(":")
    if kind == "goose":
        return [_goose_tool(entry.source, tool) for tool in sorted(entry.allow or ())]
    if kind == "builtin":
        return [_builtin_tool(entry, name, i) for i in range(len(BUILTIN_TOOLS.get(name, ())))
                if entry.allow is None or BUILTIN_TOOLS[name][i].name in entry.allow]  # fmt: skip
    pinned = servers[entry.source].tools if entry.source in servers else {}
    return [
        _as_seen(entry, tool)
        for key, tool in sorted(pinned.items())
        if entry.allow is None or key in entry.allow
    ]


def _as_seen(entry: ToolEntry, tool: EffectiveTool) -> EffectiveTool:
    return EffectiveTool(
        seen_name(entry.name, tool.tool), tool.server, tool.tool, tool.description, tool.effects,
        tool.idempotent, tool.input_schema, tool.clearance,
    )  # fmt: skip


def _goose_tool(source: str, tool: str) -> EffectiveTool:
    # goose shows tools of its own extensions without a prefix, and pins no schema for them
    return EffectiveTool(tool, source, tool, "", "Destructive", False, ANY_ARGUMENTS, frozenset())


def _builtin_tool(entry: ToolEntry, builtin: str, index: int) -> EffectiveTool:
    tool = BUILTIN_TOOLS[builtin][index]
    return EffectiveTool(
        seen_name(entry.name, tool.name), entry.source, tool.name, tool.description, tool.effects,
        tool.idempotent, tool.input_schema, frozenset(),
    )  # fmt: skip


def seen_name(entry: str, tool: str) -> str:
    """Return the name by which an agent knows a tool: `<entry>_<tool>`."""
    return _NOT_IN_NAME.sub("_", f"{entry}_{tool}")


def effective_models(
    draft: Draft, agent: Agent, profile: MergedProfile
) -> dict[str, tuple[ModelChoice, ...]]:
    """Return the models by purpose, in order of preference; none for `work` is a problem."""
    taken = _narrowed_models(draft, agent)
    providers = draft.resources.of(ModelProvider)
    usable = {(key, m.name): m.purposes for key, p in providers.items() for m in p.spec.models}
    found: dict[str, tuple[ModelChoice, ...]] = {}
    for purpose, choices in profile.models.items():
        found[purpose] = tuple(
            c for c in choices
            if (c.provider, c.model) in usable
            and (usable[c.provider, c.model] is None or purpose in (usable[c.provider, c.model] or ()))
            and (c.provider, "") not in taken and (c.provider, c.model) not in taken
        )  # fmt: skip
    if not found.get("work"):
        message = f"profile {profile.key} and narrow leave this agent no model for work"
        draft.refuse(
            agent, "spec.profileRef", "NoModel", message, "list one under models.work of the profile"
        )
    return found


def _narrowed_models(draft: Draft, agent: Agent) -> set[tuple[str, str]]:
    narrow = agent.spec.narrow.models if agent.spec.narrow else ()
    for i, choice in enumerate(narrow):
        draft.resolve(agent, choice.provider_ref, ModelProvider, f"spec.narrow.models[{i}].providerRef")
    return {(reference_key(agent, choice.provider_ref), choice.model or "") for choice in narrow}


def rights(agent: EffectiveAgent, rules: tuple[Rule, ...]) -> dict[str, object]:
    """Return the effective rights: all that a consent is about. `rules` = those that cover the agent."""
    return {
        "version": 1,
        "node": agent.node,
        "owner": agent.owner,
        "tools": [
            {"server": t.server, "tool": t.tool, "effects": t.effects, "idempotent": t.idempotent,
             "clearance": t.clearance, "schema": digest(t.input_schema)}
            for t in agent.tools
        ],
        "models": {name: [[c.provider, c.model] for c in found] for name, found in agent.models.items()},
        "guard": agent.guard,
        "runtime": agent.runtime_command,
        "rules": sorted(digest([rule.id, meaning(rule)]) for rule in rules if rule.enforced),
    }  # fmt: skip


def rights_hash(agent: EffectiveAgent, rules: tuple[Rule, ...]) -> str:
    """Return `sha256:<hex>` over the effective rights (RFC 8785)."""
    return digest(rights(agent, rules))
