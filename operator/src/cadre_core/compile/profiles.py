"""Role profiles with what they inherit: the nearest value wins, lists are joined, the strictest mode wins."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cadre_api.v1alpha1 import ModelChoice, ModelProvider, ProfileTool, Purpose, RoleProfile
from cadre_api.v1alpha1 import Recipe as RecipeSpec
from cadre_core.compile.draft import Draft, reference_key
from cadre_core.compile.sources import check_model, check_source, tool_source
from cadre_core.model import ModelChoice as Choice
from cadre_core.model import Recipe


@dataclass(frozen=True, slots=True)
class ToolEntry:
    """One source of tools in a merged profile; `allow` None = all that the source has."""

    name: str
    source: str
    """ToolServer key, `builtin:<name>` or `goose:<extension>`."""
    allow: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class MergedProfile:
    """A profile once inheritance is applied."""

    key: str
    lineage: tuple[str, ...]
    title: str
    instructions: str
    hints: tuple[str, ...]
    skills: Mapping[str, tuple[str, ...]]
    recipes: Mapping[str, Recipe]
    tools: tuple[ToolEntry, ...]
    models: Mapping[str, tuple[Choice, ...]]
    clearance: frozenset[str]
    specs: tuple[RoleProfile, ...]
    """Nearest first."""


def merge_profiles(draft: Draft) -> dict[str, MergedProfile]:
    """Merge every profile whose lineage is sound."""
    specs = draft.resources.of(RoleProfile)
    parents = {key: _parents(draft, profile) for key, profile in specs.items()}
    _refuse_cycles(draft, specs, parents)
    for profile in specs.values():
        _check_tools(draft, profile)
        _check_models(draft, profile)
    return {key: _merge(draft, key, specs, parents) for key in specs}


def _parents(draft: Draft, profile: RoleProfile) -> tuple[str, ...]:
    found = (
        draft.resolve(profile, ref, RoleProfile, f"spec.inherits[{i}]")
        for i, ref in enumerate(profile.spec.inherits)
    )
    return tuple(key for key in found if key is not None)


def _lineage(key: str, parents: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Nearest first; what two profiles share comes after both of them."""
    walked: list[str] = []
    _walk(key, parents, (), walked)
    last = {name: i for i, name in enumerate(walked)}
    return tuple(sorted(last, key=lambda name: last[name]))


def _walk(
    key: str, parents: Mapping[str, tuple[str, ...]], above: tuple[str, ...], walked: list[str]
) -> None:
    if key in above or len(walked) > 4096:
        return
    walked.append(key)
    for parent in parents[key]:
        _walk(parent, parents, (*above, key), walked)


def _refuse_cycles(
    draft: Draft, specs: Mapping[str, RoleProfile], parents: Mapping[str, tuple[str, ...]]
) -> None:
    reach = {key: _reachable(key, parents) for key in specs}
    circles = {tuple(sorted(k for k in reach[key] if key in reach[k])) for key in specs if key in reach[key]}
    for circle in sorted(circles):
        message = f"these profiles inherit from each other: {', '.join(circle)}"
        draft.refuse(specs[circle[0]], "spec.inherits", "Cycle", message, "remove one of the references")


def _reachable(key: str, parents: Mapping[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    todo = list(parents[key])
    while todo:
        current = todo.pop()
        if current not in found:
            found.add(current)
            todo += parents[current]
    return found


def _merge(
    draft: Draft, key: str, specs: Mapping[str, RoleProfile], parents: Mapping[str, tuple[str, ...]]
) -> MergedProfile:
    lineage = _lineage(key, parents)
    line = tuple(specs[name] for name in lineage)
    return MergedProfile(
        key=key,
        lineage=lineage,
        title=line[0].spec.title,
        instructions=next((p.spec.instructions for p in line if p.spec.instructions), ""),
        hints=tuple(dict.fromkeys(hint for p in reversed(line) for hint in p.spec.hints)),
        skills={s.name: tuple(s.tags) for p in reversed(line) for s in p.spec.skills},
        recipes={r.name: _recipe(r) for p in reversed(line) for r in p.spec.recipes},
        tools=_entries(draft, line),
        models=_models(line),
        clearance=_clearance(line),
        specs=line,
    )


def _clearance(line: tuple[RoleProfile, ...]) -> frozenset[str]:
    stated = (p.spec.guard.clearance for p in line if p.spec.guard and p.spec.guard.clearance)
    return frozenset(c.value for c in next(stated, ()))


def _recipe(recipe: RecipeSpec) -> Recipe:
    parameters = {
        p.name: p.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"name"})
        for p in recipe.parameters
    }
    return Recipe(recipe.name, recipe.title, recipe.prompt, parameters)


def _entries(draft: Draft, line: tuple[RoleProfile, ...]) -> tuple[ToolEntry, ...]:
    found: dict[str, ToolEntry] = {}
    for profile in line:
        for i, tool in enumerate(profile.spec.tools):
            mine = _entry(profile, tool)
            other = found.get(mine.name, mine)
            if other.source != mine.source:
                message = f"{mine.name} is {mine.source} here and {other.source} in {line[0].metadata.name}"
                draft.refuse(
                    profile, f"spec.tools[{i}].name", "ConflictingTool", message, "rename one of them"
                )
            elif other.allow is None or mine.allow is None:
                found[mine.name] = ToolEntry(mine.name, mine.source, None)
            else:
                found[mine.name] = ToolEntry(mine.name, mine.source, mine.allow | other.allow)
    return tuple(found[name] for name in sorted(found))


def _entry(profile: RoleProfile, tool: ProfileTool) -> ToolEntry:
    allow = None if tool.allow is None else frozenset(rule.tool for rule in tool.allow)
    return ToolEntry(tool.name, tool_source(profile, tool), allow)


def _check_tools(draft: Draft, profile: RoleProfile) -> None:
    for i, tool in enumerate(profile.spec.tools):
        path = f"spec.tools[{i}]"
        names = {f"{path}.allow[{j}].tool": rule.tool for j, rule in enumerate(tool.allow or ())}
        check_source(draft, profile, tool, path, names)


def _check_models(draft: Draft, profile: RoleProfile) -> None:
    for purpose in Purpose:
        for i, choice in enumerate(_choices(profile, purpose)):
            path = f"spec.models.{purpose.value}[{i}]"
            key = draft.resolve(profile, choice.provider_ref, ModelProvider, f"{path}.providerRef")
            if key is not None:
                check_model(draft, profile, key, choice.model, f"{path}.model", purpose)


def _choices(profile: RoleProfile, purpose: Purpose) -> tuple[ModelChoice, ...]:
    if profile.spec.models is None:
        return ()
    return tuple(getattr(profile.spec.models, purpose.value))


def _models(line: tuple[RoleProfile, ...]) -> dict[str, tuple[Choice, ...]]:
    own = {purpose.value: _nearest(line, purpose) for purpose in Purpose}
    return {purpose: choices or own[Purpose.WORK.value] for purpose, choices in own.items()}


def _nearest(line: tuple[RoleProfile, ...], purpose: Purpose) -> tuple[Choice, ...]:
    for profile in line:
        if choices := _choices(profile, purpose):
            return _unique(Choice(reference_key(profile, c.provider_ref), c.model) for c in choices)
    return ()


def _unique(choices: Iterable[Choice]) -> tuple[Choice, ...]:
    return tuple(dict.fromkeys(choices))


def profile_view(profile: MergedProfile) -> dict[str, object]:
    """Return the merged profile as the directory shows it."""
    return {
        "title": profile.title,
        "lineage": profile.lineage,
        "instructions": profile.instructions,
        "hints": profile.hints,
        "skills": profile.skills,
        "recipes": {
            name: {"title": r.title, "parameters": r.parameters} for name, r in profile.recipes.items()
        },
        "tools": {t.name: {"source": t.source, "allow": sorted(t.allow or ())} for t in profile.tools},
        "models": {p: [f"{c.provider}/{c.model}" for c in choices] for p, choices in profile.models.items()},
        "clearance": sorted(profile.clearance),
    }
