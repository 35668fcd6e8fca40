"""The whole compilation, step by step; every step notes its problems and the next ones still run."""

from cadre_api.v1alpha1 import Policy
from cadre_core.canonical import CanonicalError, digest
from cadre_core.compile.agents import Chart, build_agents, shortest_retention
from cadre_core.compile.catalog import build_persons, build_providers, build_tool_servers
from cadre_core.compile.draft import Draft
from cadre_core.compile.policies import CompiledPolicies, audit_days, build_policies
from cadre_core.compile.profiles import merge_profiles, profile_view
from cadre_core.compile.tree import build_nodes, build_tree
from cadre_core.compile.workflows import build_workflows
from cadre_core.model import CompileResult, Snapshot
from cadre_core.resources import Resources, ordered


def compile_chart(resources: Resources, *, node_analyzer: bool = False) -> CompileResult:
    """Compile a tenant; with any problem there is no snapshot, and all problems are listed, sorted.

    `node_analyzer`: machines have an analyzer that agents may share.
    """
    draft = Draft(resources)
    snapshot = _compile(draft, node_analyzer=node_analyzer)
    if draft.problems or snapshot is None or resources.invalid:
        return CompileResult(None, ordered(draft.problems))
    return CompileResult(snapshot, ())


def _compile(draft: Draft, *, node_analyzer: bool) -> Snapshot | None:
    persons = build_persons(draft)
    providers = build_providers(draft)
    servers = build_tool_servers(draft)
    profiles = merge_profiles(draft)
    workflows = build_workflows(draft, profiles)
    tree = build_tree(draft)
    if tree is None:
        return None
    tenant = tree.specs[tree.root].metadata.name
    policies = build_policies(draft, tenant, tree, servers)
    agents = build_agents(draft, Chart(tenant, tree, profiles, servers, policies, node_analyzer))
    return Snapshot(
        tenant=tenant,
        root=tree.root,
        revision=_revision(draft.resources),
        nodes=build_nodes(draft, tree),
        persons=persons,
        agents=agents,
        rules=policies.rules,
        providers=providers,
        tool_servers=servers,
        profiles={key: profile_view(profile) for key, profile in profiles.items()},
        retention=_retention(draft, tree.root, policies),
        workflows=workflows,
    )


def _retention(draft: Draft, root: str, policies: CompiledPolicies) -> dict[str, int]:
    at_root = [policy for policy, _ in policies.covering((root,))]
    days = audit_days(draft.resources.of(Policy))
    return {**shortest_retention(at_root), "auditDays": days}


def _revision(resources: Resources) -> str:
    content = {
        f"{kind} {key}": model.model_dump(mode="json", by_alias=True, exclude_none=True, include={"spec"})
        for kind, models in resources.objects.items()
        for key, model in models.items()
    }
    try:
        return digest(content)
    except CanonicalError:  # a pinned schema with such a number has a problem of its own already
        return ""
