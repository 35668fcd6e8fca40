"""What a guard is told of its agent: everything effective, and nothing about anybody else's rights."""

from collections.abc import Mapping
from dataclasses import asdict

from cadre_api.protocol.guard import BundleTool, GuardRecognizer, GuardRules, GuardTerm
from cadre_api.v1alpha1 import PolicyGuard
from cadre_core.compile.guard import lone_guard
from cadre_core.model import EffectiveAgent, EffectiveTool, GuardSpec, Provider, Snapshot

MODEL_ALIAS = "cadre-work"
TURN_TIMEOUT_SECONDS = 1800
DEFAULT_CONTEXT_WINDOW = 128_000


def bundle_payload(snapshot: Snapshot, agent_key: str) -> dict[str, object]:
    """Return the content of `AgentBundle` without generation, digest and times; KeyError when unknown.

    The same chart gives the same payload, so its digest tells whether a guard needs a new one.
    """
    agent = snapshot.agents[agent_key]
    tools = [_tool(tool) for tool in agent.tools if not tool.server.startswith("goose:")]
    return {
        "version": 1,
        "agent": agent.key,
        "tenant": agent.tenant,
        "nodePath": list(agent.path),
        "title": agent.title,
        "instructions": agent.instructions,
        "hints": list(agent.hints),
        "tools": [tool.model_dump(mode="json", by_alias=True) for tool in tools],
        "gooseExtensions": {name: list(found) for name, found in agent.goose_extensions.items()},
        "modelAlias": MODEL_ALIAS,
        "contextWindow": context_window(agent, snapshot.providers),
        "clearance": sorted(agent.guard.clearance),
        "guard": guard_rules(snapshot, agent).model_dump(mode="json", by_alias=True, exclude_none=True),
        "concurrency": agent.concurrency,
        "turnTimeoutSeconds": TURN_TIMEOUT_SECONDS,
        "lifecycle": agent.lifecycle,
        "runtimeCommand": list(agent.runtime_command),
    }


def guard_rules(snapshot: Snapshot, agent: EffectiveAgent) -> GuardRules:
    """Return the guard's rules; people of the chart are terms, titles of nodes are not."""
    languages = agent.locale.get("languages", ("en",))
    spoken = tuple(languages) if isinstance(languages, tuple | list) else ("en",)
    return rules_of(agent.guard, languages=spoken, terms=_terms(snapshot))


def rules_of_policy(
    guard: PolicyGuard, *, languages: tuple[str, ...] = ("en",), terms: tuple[GuardTerm, ...] = ()
) -> GuardRules:
    """Return the rules of one policy that stands alone, without a chart around it."""
    return rules_of(lone_guard(guard), languages=languages, terms=terms)


def rules_of(spec: GuardSpec, *, languages: tuple[str, ...], terms: tuple[GuardTerm, ...]) -> GuardRules:
    """Return compiled guard rules in the words of the protocol."""
    return GuardRules(
        mode=spec.mode,
        entity_actions=dict(spec.entity_actions),
        entity_classes=dict(spec.entity_classes),
        thresholds=dict(spec.thresholds),
        recognizers=tuple(GuardRecognizer.model_validate(asdict(r)) for r in spec.recognizers),
        allow_list=spec.allow_list,
        deny_list=spec.deny_list,
        terms=terms,
        languages=languages,
        language_model=spec.language_model,
    )


def _terms(snapshot: Snapshot) -> tuple[GuardTerm, ...]:
    names = {(person.display_name, "PERSON") for person in snapshot.persons.values()}
    mails = {(person.email, "EMAIL_ADDRESS") for person in snapshot.persons.values() if person.email}
    return tuple(GuardTerm(text=text, entity_type=kind) for text, kind in sorted(names | mails))


def _tool(tool: EffectiveTool) -> BundleTool:
    return BundleTool(
        name=tool.name,
        server=tool.server,
        tool=tool.tool,
        description=tool.description,
        input_schema=dict(tool.input_schema),
        read_only=tool.effects == "ReadOnly",
    )


def context_window(agent: EffectiveAgent, providers: Mapping[str, Provider]) -> int:
    """Return the smallest window of the agent's models for work: whichever is chosen, the text fits."""
    stated = [
        providers[choice.provider].models[choice.model].get("contextWindow")
        for choice in agent.models.get("work", ())
        if choice.provider in providers and choice.model in providers[choice.provider].models
    ]
    return min((window for window in stated if isinstance(window, int)), default=DEFAULT_CONTEXT_WINDOW)
