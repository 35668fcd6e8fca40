"""Agents: placed at a node, within its quotas, made from an allowed profile."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cadre_api.v1alpha1 import Agent, Analyzer, Consent, OrgNode, Person, Policy, RoleProfile, Scaling
from cadre_core.compile.draft import Draft, granted, reference_key
from cadre_core.compile.guard import GuardLevel, effective_guard
from cadre_core.compile.policies import CompiledPolicies
from cadre_core.compile.profiles import MergedProfile
from cadre_core.compile.rights import effective_models, effective_tools, rights_hash
from cadre_core.compile.tree import Tree, effective_locale
from cadre_core.model import EffectiveAgent, EffectiveTool, GuardSpec, ToolServerSpec
from cadre_core.resources import key_of
from cadre_core.scope import rule_covers


@dataclass(frozen=True, slots=True)
class Chart:
    """What agents are compiled against."""

    tenant: str
    tree: Tree
    profiles: Mapping[str, MergedProfile]
    servers: Mapping[str, ToolServerSpec]
    policies: CompiledPolicies
    node_analyzer: bool = False
    """Machines have an analyzer that agents may share."""
    guards: dict[tuple[str, str], GuardSpec] = field(default_factory=dict)
    """What was worked out already, by profile and node."""


def build_agents(draft: Draft, chart: Chart) -> dict[str, EffectiveAgent]:
    """Compile every agent that has a place; problems of one never hide another."""
    agents = draft.resources.of(Agent)
    places = {key: _place(draft, chart.tree, agent) for key, agent in agents.items()}
    _check_quotas(draft, chart.tree, places)
    found: dict[str, EffectiveAgent] = {}
    for key, agent in agents.items():
        node = places[key]
        profile = _profile(draft, chart, agent, node)
        _owner(draft, agent)
        if not chart.node_analyzer:
            _refuse_node_analyzer(draft, agent)
        if node is not None and profile is not None:
            found[key] = _agent(draft, chart, agent, node, profile)
    return found


def _place(draft: Draft, tree: Tree, agent: Agent) -> str | None:
    key = draft.resolve(agent, agent.spec.node_ref, OrgNode, "spec.nodeRef")
    if key is None or key not in tree.specs:
        return None
    if not granted(tree.specs[key], agent):
        message = f"{key} grants no Agent to namespace {agent.metadata.namespace}"
        fix = f"add {{kinds: [Agent], namespaces: [{agent.metadata.namespace}]}} to its spec.grants"
        draft.refuse(agent, "spec.nodeRef", "NotGranted", message, fix)
        return None
    return key


def _check_quotas(draft: Draft, tree: Tree, places: Mapping[str, str | None]) -> None:
    for key, node in tree.specs.items():
        limit = node.spec.agents.max if node.spec.agents else None
        if limit is None:
            continue
        count = sum(1 for place in places.values() if place is not None and tree.below(place, key))
        if count > limit:
            message = f"{count} agents in this subtree, at most {limit} are allowed"
            draft.refuse(node, "spec.agents.max", "QuotaExceeded", message, "remove agents or raise max")


def _profile(draft: Draft, chart: Chart, agent: Agent, node: str | None) -> MergedProfile | None:
    if agent.spec.profile_ref is not None:
        key = draft.resolve(agent, agent.spec.profile_ref, RoleProfile, "spec.profileRef")
    else:
        key = _node_profile(draft, chart.tree, node)
    if key is None:
        if agent.spec.profile_ref is None and node is not None:
            message = f"neither the agent nor any node above it names a profile ({node})"
            draft.refuse(agent, "spec.profileRef", "NoProfile", message, "set profileRef here or at the node")
        return None
    if node is not None:
        _check_allowed(draft, chart.tree, agent, node, key)
    return chart.profiles.get(key)


def _node_profile(draft: Draft, tree: Tree, node: str | None) -> str | None:
    for spec in reversed(tree.on_path(node)) if node is not None else ():
        if spec.spec.profile_ref is not None:
            return draft.resolve(spec, spec.spec.profile_ref, RoleProfile, "spec.profileRef")
    return None


def _check_allowed(draft: Draft, tree: Tree, agent: Agent, node: str, profile: str) -> None:
    for spec in tree.on_path(node):
        rules = spec.spec.agents
        if rules is None or rules.allowed_profiles is None:
            continue
        allowed = sorted(reference_key(spec, ref) for ref in rules.allowed_profiles)
        if profile not in allowed:
            message = f"{key_of(spec)} does not allow profile {profile} ({', '.join(allowed) or 'none'} only)"
            fix = f"use an allowed profile, or ask the head above {key_of(spec)} to add it to allowedProfiles"
            draft.refuse(agent, "spec.profileRef", "ProfileNotAllowed", message, fix)


def _owner(draft: Draft, agent: Agent) -> str:
    if agent.spec.owner_ref is None:
        return ""
    return reference_key(agent, agent.spec.owner_ref) if _person_exists(draft, agent) else ""


def _person_exists(draft: Draft, agent: Agent) -> bool:
    ref = agent.spec.owner_ref
    return ref is not None and draft.resolve(agent, ref, Person, "spec.ownerRef") is not None


def _refuse_node_analyzer(draft: Draft, agent: Agent) -> None:
    if agent.spec.analyzer is Analyzer.NODE:
        message = "no machine here has an analyzer for its agents; on a cluster analyzer.enabled of the chart"
        fix = "use Sidecar, or leave it out; or let the cluster's administrator set analyzer.enabled=true"
        draft.refuse(agent, "spec.analyzer", "NotOffered", f"{message} brings one", fix)


def _agent(draft: Draft, chart: Chart, agent: Agent, node: str, profile: MergedProfile) -> EffectiveAgent:
    path = chart.tree.paths[node]
    tools = effective_tools(draft, agent, profile, chart.servers)
    consent = _consent(chart.tree, node)
    acp = agent.spec.runtime.acp if agent.spec.runtime else None
    owner = reference_key(agent, agent.spec.owner_ref) if agent.spec.owner_ref else ""
    found = EffectiveAgent(
        key=key_of(agent),
        tenant=chart.tenant,
        node=node,
        path=path,
        profile=profile.key,
        profile_lineage=profile.lineage,
        owner=owner,
        purpose=agent.spec.purpose,
        title=profile.title,
        instructions=profile.instructions,
        hints=profile.hints,
        skills=profile.skills,
        recipes=profile.recipes,
        tools=tools,
        goose_extensions=_extensions(profile, tools),
        models=effective_models(draft, agent, profile),
        guard=_guard(chart, profile, node),
        locale=effective_locale(chart.tree.on_path(node)),
        concurrency=(agent.spec.scaling or Scaling()).concurrency,
        lifecycle=agent.spec.lifecycle.value,
        runtime_command=acp.command if acp else (),
        rights_hash="",
        needs_consent=consent is not Consent.NEVER,
        consent=consent.value,
        retention=_retention(chart, path),
    )
    covering = tuple(rule for rule in chart.policies.rules if rule_covers(rule, found))
    return replace(found, rights_hash=rights_hash(found, covering))


def _guard(chart: Chart, profile: MergedProfile, node: str) -> GuardSpec:
    """Agents of one profile at one node have the same rules, and thousands of them are worked out once."""
    place = (profile.key, node)
    if place not in chart.guards:
        chart.guards[place] = effective_guard(profile, _levels(chart, chart.tree.paths[node]))
    return chart.guards[place]


def _consent(tree: Tree, node: str) -> Consent:
    for spec in reversed(tree.on_path(node)):
        if spec.spec.agents is not None and spec.spec.agents.consent is not None:
            return spec.spec.agents.consent
    return Consent.HEAD


def _extensions(profile: MergedProfile, tools: tuple[EffectiveTool, ...]) -> dict[str, tuple[str, ...]]:
    sources = {entry.source for entry in profile.tools if entry.source.startswith("goose:")}
    return {
        source.partition(":")[2]: tuple(t.tool for t in tools if t.server == source)
        for source in sorted(sources)
    }


def _levels(chart: Chart, path: tuple[str, ...]) -> tuple[GuardLevel, ...]:
    covering = sorted(chart.policies.covering(path), key=lambda found: (found[1], key_of(found[0])))
    return tuple(
        GuardLevel(depth, policy.spec.guard) for policy, depth in covering if policy.spec.guard is not None
    )


def _retention(chart: Chart, path: tuple[str, ...]) -> dict[str, int]:
    return shortest_retention([policy for policy, _ in chart.policies.covering(path)])


def shortest_retention(policies: list[Policy]) -> dict[str, int]:
    """Return transcriptDays and artifactDays: the shortest that any of the policies sets, else 30."""
    stated = [policy.spec.retention for policy in policies if policy.spec.retention is not None]
    return {
        "transcriptDays": min((r.transcript_days for r in stated if r.transcript_days), default=30),
        "artifactDays": min((r.artifact_days for r in stated if r.artifact_days), default=30),
    }
