"""Compare two compiled charts agent by agent: rights first, then words."""

from collections.abc import Iterable, Iterator

from cadre_api.data_classes import CLASS_OF_ENTITY, GUARD_MODE_ORDER, DataClass, GuardMode
from cadre_api.protocol.base import Effect
from cadre_core.canonical import digest
from cadre_core.model import DEFAULT_THRESHOLD, EffectiveAgent, GuardSpec, RecognizerSpec, Rule, Snapshot
from cadre_core.plan.findings import (
    AgentChange,
    Change,
    Finding,
    altered,
    members,
    narrower,
    redefined,
    verdict,
    wider,
)
from cadre_core.scope import meaning, rule_covers

_WORDS = (
    "title",
    "instructions",
    "hints",
    "skills",
    "recipes",
    "purpose",
    "locale",
    "concurrency",
    "retention",
)
_PLAIN = RecognizerSpec("", "", "")
_PLACE = ("node", "owner", "profile", "runtime_command", "lifecycle")


def plan(old: Snapshot | None, new: Snapshot) -> tuple[AgentChange, ...]:
    """Say for every agent of either chart what changes, sorted by agent; `old` None = nothing runs yet."""
    before = old.agents if old is not None else {}
    found = []
    for key in sorted(before.keys() | new.agents.keys()):
        if old is None or key not in before:
            found.append(AgentChange(key, Change.ADDED, tuple(_introduction(new, new.agents[key]))))
        elif key not in new.agents:
            found.append(AgentChange(key, Change.REMOVED))
        else:
            findings = tuple(_differences(old, new, before[key], new.agents[key]))
            lines = tuple(finding.line for finding in findings)
            found.append(AgentChange(key, verdict(findings), lines))
    return tuple(found)


def _introduction(snapshot: Snapshot, agent: EffectiveAgent) -> Iterator[str]:
    yield f"+ node {agent.node}"
    yield f"+ profile {agent.profile}"
    yield from (f"+ tool {tool}" for tool in sorted(_tools(agent)))
    yield from (f"+ model {model}" for model in sorted(_models(agent)))
    yield from (f"+ clearance {name}" for name in sorted(agent.guard.clearance))
    yield from (f"+ {rule.effect.value} {rule.id}" for rule in _rules(snapshot, agent).values())


def _differences(
    old: Snapshot, new: Snapshot, before: EffectiveAgent, after: EffectiveAgent
) -> Iterator[Finding]:
    yield from _place(before, after)
    yield from members("tool", _tools(before), _tools(after))
    yield from redefined("tool", _tools(before), _tools(after))
    yield from members("model", _models(before), _models(after))
    yield from _guard(before.guard, after.guard)
    yield from _rule_changes(_rules(old, before), _rules(new, after))
    for word in _WORDS:
        if getattr(before, word) != getattr(after, word):
            yield altered(word)


def _place(before: EffectiveAgent, after: EffectiveAgent) -> Iterator[Finding]:
    for name in _PLACE:
        was, now = getattr(before, name), getattr(after, name)
        if was == now:
            continue
        line = f"{name} {was or 'none'} -> {now or 'none'}"
        if name == "lifecycle":
            yield narrower(line) if now != "Running" else wider(line)
        else:
            yield altered(line, rights=name in {"node", "owner", "runtime_command"})


def _tools(agent: EffectiveAgent) -> dict[str, str]:
    """Tool -> digest of everything about it that decides what a call can do."""
    return {
        f"{t.server}/{t.tool}": digest([t.effects, t.idempotent, t.input_schema, t.clearance])
        for t in agent.tools
    }


def _models(agent: EffectiveAgent) -> set[str]:
    return {f"{c.provider}/{c.model} for {purpose}" for purpose, found in agent.models.items() for c in found}


def _guard(before: GuardSpec, after: GuardSpec) -> Iterator[Finding]:
    yield from members("clearance", before.clearance, after.clearance)
    yield from members("allowed term", before.allow_list, after.allow_list)
    yield from members("denied term", before.deny_list, after.deny_list, gives=False)
    was, now = ({_recognizer(r) for r in guard.recognizers} for guard in (before, after))
    yield from members("recognizer", was, now, gives=False)
    if before.language_model != after.language_model:
        yield (narrower if after.language_model else wider)("guard's language model")
    for entity in sorted({*before.thresholds, *after.thresholds}):
        yield from _threshold(entity, before, after)
    if before.mode != after.mode:
        yield _stricter_or_not("guard mode", before.mode, after.mode)
    for entity in sorted({*CLASS_OF_ENTITY, *before.entity_actions, *after.entity_actions}):
        old = before.entity_actions.get(entity, before.mode)
        new = after.entity_actions.get(entity, after.mode)
        if old != new and (old, new) != (before.mode, after.mode):
            yield _stricter_or_not(f"guard for {entity}", old, new)


def _recognizer(spec: RecognizerSpec) -> str:
    """What a person reads of it; a digest stands for the parts that do not fit a line."""
    finds = spec.pattern or f"{len(spec.terms)} terms"
    rest = [spec.terms, spec.checksum, spec.context, spec.score, spec.data_class]
    own = rest != [(), "", (), _PLAIN.score, CLASS_OF_ENTITY.get(spec.entity, DataClass.INTERNAL)]
    return f"{spec.name} {finds} as {spec.entity}" + (f" ({digest(rest)[7:15]})" if own else "")


def _threshold(entity: str, before: GuardSpec, after: GuardSpec) -> Iterator[Finding]:
    was, now = (
        before.thresholds.get(entity, DEFAULT_THRESHOLD),
        after.thresholds.get(entity, DEFAULT_THRESHOLD),
    )
    if was != now:
        yield (wider if now > was else narrower)(f"guard threshold for {entity} {was:.0%} -> {now:.0%}")


def _stricter_or_not(what: str, was: str, now: str) -> Finding:
    stricter = GUARD_MODE_ORDER.index(GuardMode(now)) > GUARD_MODE_ORDER.index(GuardMode(was))
    return (narrower if stricter else wider)(f"{what} {was} -> {now}")


def _rules(snapshot: Snapshot, agent: EffectiveAgent) -> dict[str, Rule]:
    return {rule.id: rule for rule in snapshot.rules if rule.enforced and rule_covers(rule, agent)}


def _rule_changes(before: dict[str, Rule], after: dict[str, Rule]) -> Iterator[Finding]:
    yield from _rules_of(before, after, (Effect.ALLOW,), gives=True)
    yield from _rules_of(before, after, (Effect.DENY, Effect.REQUIRE_APPROVAL), gives=False)


def _rules_of(
    before: dict[str, Rule], after: dict[str, Rule], effects: tuple[Effect, ...], gives: bool
) -> Iterable[Finding]:
    old = {
        f"{r.effect.value} {name}": digest(meaning(r)) for name, r in before.items() if r.effect in effects
    }
    new = {f"{r.effect.value} {name}": digest(meaning(r)) for name, r in after.items() if r.effect in effects}
    yield from members("rule", old, new, gives)
    yield from redefined("rule", old, new)
