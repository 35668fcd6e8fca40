"""Guard rules of one agent: per entity the strictest of its profile and every policy on the path.

Widening parts run the other way: a term is allowed only where every level that lists allowed terms lists it,
and where the topmost level with guard rules does.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cadre_api.data_classes import (
    CLASS_OF_ENTITY,
    DEFAULT_ACTIONS,
    GUARD_MODE_ORDER,
    DataClass,
    GuardMode,
    class_of,
)
from cadre_api.v1alpha1 import PolicyGuard, ProfileGuard, Recognizer
from cadre_core.compile.profiles import MergedProfile
from cadre_core.model import DEFAULT_THRESHOLD, GuardSpec, RecognizerSpec

_OWN_DEFAULT = (DataClass.PUBLIC, DataClass.CREDENTIALS)
"""Classes that keep their default action until an entry names them: a mode alone does not reach them."""


@dataclass(frozen=True, slots=True)
class GuardLevel:
    """Guard rules that hold at one place of the path; `depth` 0 is the root."""

    depth: int
    guard: PolicyGuard


def effective_guard(profile: MergedProfile, levels: tuple[GuardLevel, ...]) -> GuardSpec:
    """Combine profile and policies; `levels` must hold all that cover the agent's node."""
    stated = tuple(p.spec.guard for p in profile.specs if p.spec.guard is not None)
    return _combined(stated, profile.clearance, levels)


def lone_guard(guard: PolicyGuard) -> GuardSpec:
    """Rules of one policy that is the whole path."""
    return _combined((), frozenset(), (GuardLevel(0, guard),))


def _combined(
    profiles: tuple[ProfileGuard, ...], clearance: frozenset[str], levels: tuple[GuardLevel, ...]
) -> GuardSpec:
    stated: tuple[ProfileGuard | PolicyGuard, ...] = (*profiles, *(level.guard for level in levels))
    mode = _strictest(tuple(g.mode for g in stated)) or GuardMode.MASK
    classes = _own_classes(levels)
    entities = {*CLASS_OF_ENTITY, *classes, *(e.type for g in stated for e in g.entities)}
    named = {entity for entity in entities if any(_named(entity, classes.get(entity), g) for g in stated)}
    actions = {entity: _action(entity, classes.get(entity), stated, mode) for entity in entities}
    return GuardSpec(
        mode=mode.value,
        # naming an entity also switches on the recognisers that are off until somebody asks for them
        entity_actions={e: a.value for e, a in sorted(actions.items()) if a is not mode or e in named},
        recognizers=_recognizers(levels),
        allow_list=_allow_list(levels),
        deny_list=tuple(sorted({term for level in levels for term in level.guard.deny_list})),
        clearance=clearance,
        entity_classes=classes,
        thresholds=_thresholds(profiles, levels),
        language_model=_language_model(levels),
    )


def _strictest(modes: tuple[GuardMode | None, ...]) -> GuardMode | None:
    stated = [mode for mode in modes if mode is not None]
    return max(stated, key=GUARD_MODE_ORDER.index) if stated else None


def _action(
    entity: str, own: str | None, stated: tuple[ProfileGuard | PolicyGuard, ...], mode: GuardMode
) -> GuardMode:
    data_class = DataClass(own) if own else class_of(entity)
    level = _strictest(tuple(_stated(entity, data_class, guard) for guard in stated))
    if level is not None:
        return level
    return DEFAULT_ACTIONS[data_class] if data_class in _OWN_DEFAULT else mode


def _stated(entity: str, data_class: DataClass, guard: ProfileGuard | PolicyGuard) -> GuardMode | None:
    named = _named(entity, data_class, guard)
    if named is not None:
        return named
    return None if data_class in _OWN_DEFAULT else guard.mode


def _named(entity: str, data_class: str | None, guard: ProfileGuard | PolicyGuard) -> GuardMode | None:
    """The action of the entry that names this entity, or its class."""
    for entry in guard.entities:
        if entry.type == entity:
            return entry.action
    of_class = data_class or class_of(entity)
    return next((entry.action for entry in guard.classes if entry.name == of_class), None)


def _own_classes(levels: tuple[GuardLevel, ...]) -> Mapping[str, str]:
    return {
        r.entity: r.data_class.value
        for level in levels
        for r in level.guard.recognizers
        if r.entity not in CLASS_OF_ENTITY
    }


def _recognizers(levels: tuple[GuardLevel, ...]) -> tuple[RecognizerSpec, ...]:
    return tuple(sorted({_recognizer(r) for level in levels for r in level.guard.recognizers}))


def _recognizer(stated: Recognizer) -> RecognizerSpec:
    return RecognizerSpec(
        name=stated.name,
        entity=stated.entity,
        data_class=CLASS_OF_ENTITY.get(stated.entity, stated.data_class).value,
        pattern=stated.pattern or "",
        terms=tuple(sorted(stated.terms or ())),
        checksum=stated.checksum.value if stated.checksum else "",
        context=tuple(sorted(stated.context)),
        score=stated.score_percent / 100,
    )


def _thresholds(profiles: tuple[ProfileGuard, ...], levels: tuple[GuardLevel, ...]) -> dict[str, float]:
    """The lowest stated for each entity; what is laxer than the default needs the topmost level's word."""
    top = _top(levels)
    found: dict[str, int] = {}
    lax: dict[str, set[bool]] = {}
    stated = [(False, entry) for profile in profiles for entry in profile.entities]
    stated += [(level.depth == top, e) for level in levels for e in level.guard.entities]
    for is_top, entry in stated:
        if entry.threshold_percent is not None:
            found[entry.type] = min(found.get(entry.type, 100), entry.threshold_percent)
            lax.setdefault(entry.type, set()).add(is_top)
    return {
        entity: percent / 100
        for entity, percent in sorted(found.items())
        if percent / 100 <= DEFAULT_THRESHOLD or True in lax[entity]
    }


def _language_model(levels: tuple[GuardLevel, ...]) -> bool:
    stated = [level for level in levels if level.guard.language_model is not None]
    if any(level.guard.language_model for level in stated):
        return True
    return not any(level.depth == _top(levels) for level in stated)


def _top(levels: tuple[GuardLevel, ...]) -> int:
    return min((level.depth for level in levels), default=0)


def _allow_list(levels: tuple[GuardLevel, ...]) -> tuple[str, ...]:
    if not levels:
        return ()
    by_depth: dict[int, set[str]] = {}
    for level in levels:
        by_depth.setdefault(level.depth, set()).update(level.guard.allow_list)
    top = min(by_depth)
    allowed = by_depth[top]
    for terms in by_depth.values():
        allowed = allowed & terms if terms else allowed
    return tuple(sorted(allowed))
