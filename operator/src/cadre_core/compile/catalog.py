"""People, model providers and tool servers: the parts of the chart that others point at."""

from collections.abc import Mapping

from cadre_api.units import parse_duration
from cadre_api.v1alpha1 import CredentialsRef, Limits, ModelProvider, Person, ProviderModel, ToolServer
from cadre_api.v1alpha1.toolserver import PinnedTool
from cadre_core.arguments import schema_problems
from cadre_core.canonical import CanonicalError, canonical_json
from cadre_core.compile.draft import Draft
from cadre_core.model import Absence, EffectiveTool, PersonSpec, Provider, ToolServerSpec

DIALECTS = ("openai", "anthropic", "gemini", "ollama")
ANY_ARGUMENTS: Mapping[str, object] = {"type": "object"}
"""Schema of a tool that pins none: anything goes, but no policy condition may read it."""


def build_persons(draft: Draft) -> dict[str, PersonSpec]:
    """Collect the humans of the chart; two of them must not share a login."""
    persons = {key: _person(draft, person) for key, person in draft.resources.of(Person).items()}
    logins: dict[tuple[str, str], str] = {}
    for key, person in persons.items():
        login = (person.issuer, person.subject)
        if person.subject and login in logins:
            message = f"{logins[login]} signs in with the same issuer and subject"
            owner = draft.resources.of(Person)[key]
            draft.refuse(owner, "spec.identity.subject", "DuplicateIdentity", message, "correct one of them")
        logins.setdefault(login, key)
    return persons


def _person(draft: Draft, person: Person) -> PersonSpec:
    spec = person.spec
    absences = []
    for i, absence in enumerate(spec.absences):
        delegate = None
        if absence.delegate_ref is not None:
            delegate = draft.resolve(person, absence.delegate_ref, Person, f"spec.absences[{i}].delegateRef")
        absences.append(Absence(absence.from_, absence.to, delegate or ""))
    return PersonSpec(
        key=f"{person.metadata.namespace}/{person.metadata.name}",
        issuer=spec.identity.issuer if spec.identity else "",
        subject=spec.identity.subject if spec.identity else "",
        display_name=spec.display_name,
        email=spec.email or "",
        clearance=frozenset(c.value for c in spec.clearance),
        absences=tuple(sorted(absences, key=lambda a: (a.start, a.until))),
    )


def build_providers(draft: Draft) -> dict[str, Provider]:
    """Collect where models come from."""
    return {key: _provider(key, provider) for key, provider in draft.resources.of(ModelProvider).items()}


def _provider(key: str, provider: ModelProvider) -> Provider:
    spec = provider.spec
    dialect = next(name for name in DIALECTS if getattr(spec, name) is not None)
    limits = spec.limits or Limits()
    return Provider(
        key=key,
        dialect=dialect,
        base_url=getattr(spec, dialect).base_url,
        credential=credential_of(spec.credentials_ref),
        models={model.name: _model(model) for model in spec.models},
        requests_per_minute=limits.requests_per_minute or 0,
        timeout_seconds=parse_duration(limits.timeout).total_seconds(),
    )


def _model(model: ProviderModel) -> dict[str, object]:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"name"})


def credential_of(ref: CredentialsRef | None) -> dict[str, str]:
    """Return the reference as `{secret, key}` or `{vault, field}`; empty when there is none."""
    if ref is None:
        return {}
    if ref.secret is not None:
        return {"secret": ref.secret.name, "key": ref.secret.key}
    return {"vault": ref.vault.path, "field": ref.vault.field} if ref.vault else {}


def build_tool_servers(draft: Draft) -> dict[str, ToolServerSpec]:
    """Collect tool servers with their pinned tools."""
    return {key: _server(draft, key, server) for key, server in draft.resources.of(ToolServer).items()}


def _server(draft: Draft, key: str, server: ToolServer) -> ToolServerSpec:
    spec = server.spec
    clearance = frozenset(c.value for c in spec.clearance)
    for i, tool in enumerate(spec.tools):
        for problem in schema_problems(tool.input_schema) if tool.input_schema is not None else ():
            fix = "use JSON Schema draft 7 keywords that the gateway enforces"
            draft.refuse(server, f"spec.tools[{i}].inputSchema", "UnsupportedSchema", problem, fix)
    env = spec.stdio.env if spec.stdio else ()
    return ToolServerSpec(
        key=key,
        url=spec.http.url if spec.http else "",
        command=spec.stdio.command if spec.stdio else (),
        env={e.name: e.value or "" for e in env if e.secret is None},
        clearance=clearance,
        credential=credential_of(spec.credentials_ref),
        tools={tool.name: _tool(key, tool, clearance) for tool in spec.tools},
        secret_env={e.name: {"secret": e.secret.name, "key": e.secret.key} for e in env if e.secret},
        requests_per_minute=(spec.limits or Limits()).requests_per_minute or 0,
        timeout_seconds=parse_duration((spec.limits or Limits()).timeout).total_seconds(),
    )


def _schema(tool: PinnedTool) -> Mapping[str, object]:
    if tool.input_schema is None:
        return ANY_ARGUMENTS
    try:
        canonical_json(tool.input_schema)
    except CanonicalError:  # noted as UnsupportedSchema; the steps that follow hash what they are given
        return ANY_ARGUMENTS
    return tool.input_schema


def _tool(server: str, tool: PinnedTool, clearance: frozenset[str]) -> EffectiveTool:
    return EffectiveTool(
        name=tool.name,
        server=server,
        tool=tool.name,
        description=tool.description or "",
        effects=tool.effects.value,
        idempotent=tool.idempotent,
        input_schema=_schema(tool),
        clearance=clearance,
    )
