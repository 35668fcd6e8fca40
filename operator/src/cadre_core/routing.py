"""Routing that explains itself: hard filters first, then a score; the same question gets the same answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop

from cadre_api.protocol.base import Effect
from cadre_api.protocol.tasks import RouteCandidate, RouteResult, RouteTerm
from cadre_core.model import EffectiveAgent
from cadre_core.policy.request import Decision
from cadre_core.route_index import NOBODY, RouteIndex, capabilities, route_index

__all__ = ["AgentState", "RouteIndex", "RouteQuery", "capabilities", "route", "route_index"]

Decide = Callable[[EffectiveAgent], Decision]
"""May the requester give a task to this agent?"""

EXPLAINED = 10
"""Candidates that are explained term by term; of the rest the answer counts which filter stopped them."""
_AWAY = frozenset({"Failed", "Suspended"})
_LAST = -1000.0
"""Times the weight of `live`: an agent that is held gets work, which waits, only where nobody else may."""
_LIVENESS = {"Idle": 1.0, "Busy": 1.0, "Frozen": _LAST, "Draining": _LAST}
_STEPS = 1_000_000
"""Scores are told, and compared, to six digits."""
_WEIGHTS = {
    "load": 4.0,
    "queueAge": 2.0,
    "live": 3.0,
    "affinity": 1.5,
    "role": 1.0,
    "cost": 1.0,
    "latency": 1.0,
}


@dataclass(frozen=True, slots=True)
class AgentState:
    """How an agent is right now."""

    state: str = "Offline"
    """Idle | Busy | Starting | Offline | Draining | Failed | Frozen. Offline still gets work, which waits;
    Draining and Frozen get it where nobody else may have it."""
    running: int = 0
    queued: int = 0
    oldest_queued_seconds: float = 0.0
    model_available: bool = True
    run_seconds: float = 0.0
    """How long its tasks have taken of late; 0 = nothing is known."""


_UNSEEN = AgentState()


@dataclass(frozen=True, slots=True)
class RouteQuery:
    """What a task asks for; empty = does not matter."""

    agent: str = ""
    """Key `namespace/name` or bare name."""
    role: str = ""
    """RoleProfile name; agents of roles that inherit it qualify too."""
    skills: tuple[str, ...] = ()
    recipe: str = ""
    languages: tuple[str, ...] = ()
    residency: str = ""
    """Where the data must stay: the `dataResidency` of the agent's locale, e.g. `eu`."""
    exclude: frozenset[str] = frozenset()
    """Agents that must not get it, such as the one that asks."""
    participants: frozenset[str] = frozenset()
    """Agents that already work in the session."""
    near: tuple[str, ...] = ()
    """Node path of the requester."""
    wanted: int = 1
    """How many agents shall get it (fan-out); 0 = everyone who may."""
    weights: Mapping[str, float] = field(default_factory=lambda: _WEIGHTS)


@dataclass(frozen=True, slots=True)
class _Filter:
    """A hard filter: whom it lets pass, and what it says of the others."""

    name: str
    reason: str
    passing: frozenset[str]
    note: Callable[[str], str]


def route(
    index: RouteIndex, query: RouteQuery, states: Mapping[str, AgentState], decide: Decide
) -> RouteResult:
    """Choose the best agents that pass every filter, permission last.

    `agents` are the chosen ones, best first, `agent` the first of them. With none `reason` names the filter
    that stopped whoever came furthest.
    """
    left = index.by_name.get(query.agent, NOBODY) if query.agent else index.everyone
    if not left:
        return RouteResult(reason="UnknownAgent" if query.agent else "NoAgents")
    total, filters = len(left), _filters(index, query, states)
    stopped: list[tuple[_Filter, frozenset[str]]] = []
    for hard in filters:
        out = left - hard.passing
        if out:
            stopped.append((hard, out))
            left &= hard.passing
    chosen, asked, denied = _permitted(index, query, states, decide, left)
    rejected = {hard.name: len(out) for hard, out in stopped} | ({"permission": denied} if denied else {})
    names = tuple(candidate.agent for candidate in chosen)
    shown = (*(chosen + asked)[:EXPLAINED], *_refused(filters, stopped, EXPLAINED - len(chosen + asked)))
    if names:
        return RouteResult(
            agent=names[0], agents=names, candidates=shown, reason="Chosen", total=total, rejected=rejected
        )
    reason = "PolicyDenied" if denied else stopped[-1][0].reason
    return RouteResult(candidates=shown, reason=reason, total=total, rejected=rejected)


def _filters(index: RouteIndex, query: RouteQuery, states: Mapping[str, AgentState]) -> tuple[_Filter, ...]:
    """The filters that can stop anybody, in the order in which they are told."""
    agents, everyone = index.agents, index.everyone
    able = frozenset.intersection(everyone, *(index.by_capability.get(s, NOBODY) for s in query.skills))
    tongues = {tag.split("-")[0].lower() for tag in query.languages}
    speaks = NOBODY.union(*(index.by_language.get(tag, NOBODY) for tag in tongues)) if tongues else everyone
    away = {key for key, state in states.items() if state.state in _AWAY}
    mute = {key for key, state in states.items() if not state.model_available}

    def lacks(key: str) -> str:
        return f"lacks {', '.join(sorted(set(query.skills) - capabilities(agents[key])))}"

    return (
        _Filter("role", "NoSuchRole", _either(index.by_role, query.role, everyone), lambda k: _is(agents[k])),
        _Filter("skills", "NoSkill", able, lacks),
        _Filter(
            "recipe",
            "NoRecipe",
            _either(index.by_recipe, query.recipe, everyone),
            lambda _: f"recipe {query.recipe}",
        ),
        _Filter("locale", "NoLanguage", speaks, lambda _: f"speaks none of {', '.join(sorted(tongues))}"),
        _Filter(
            "residency",
            "WrongResidency",
            _either(index.by_residency, query.residency.lower(), everyone),
            lambda _: f"data would leave {query.residency}",
        ),
        _Filter("excluded", "Excluded", everyone - query.exclude, lambda _: ""),
        _Filter("lifecycle", "Suspended", index.running, lambda key: agents[key].lifecycle),
        _Filter("live", "Unavailable", everyone - away, lambda key: states[key].state),
        _Filter("model", "ModelUnavailable", index.equipped - mute, lambda _: "no model for work is usable"),
    )


def _either(sets: Mapping[str, frozenset[str]], wanted: str, everyone: frozenset[str]) -> frozenset[str]:
    return sets.get(wanted, NOBODY) if wanted else everyone


def _is(agent: EffectiveAgent) -> str:
    return f"is {agent.profile}"


def _permitted(
    index: RouteIndex,
    query: RouteQuery,
    states: Mapping[str, AgentState],
    decide: Decide,
    left: frozenset[str],
) -> tuple[list[RouteCandidate], list[RouteCandidate], int]:
    """Ask policy in order of the score until enough are found: chosen, others explained, how many denied."""
    heap = _ranked(index, query, states, left)
    wanted = query.wanted or len(heap)
    chosen: list[RouteCandidate] = []
    others: list[RouteCandidate] = []
    refused: list[RouteCandidate] = []
    denied = 0
    while heap and (len(chosen) < wanted or len(chosen) + len(others) + len(refused) < EXPLAINED):
        rank, key = heappop(heap)
        decision = decide(index.agents[key])
        term = _term("permission", decision.effect is not Effect.DENY, decision.message or decision.reason)
        if not term.ok:
            denied += 1
            if len(refused) < EXPLAINED:
                refused.append(RouteCandidate(agent=key, eligible=False, terms=(term,)))
            continue
        told = len(chosen) < EXPLAINED
        terms = (term, *_scores(index, query, key, states.get(key, _UNSEEN))) if told else ()
        candidate = RouteCandidate(agent=key, eligible=True, score=-rank / _STEPS, terms=terms)
        (chosen if len(chosen) < wanted else others).append(candidate)
    return chosen, others + refused, denied


def _ranked(
    index: RouteIndex, query: RouteQuery, states: Mapping[str, AgentState], left: frozenset[str]
) -> list[tuple[int, str]]:
    """A heap of (minus millionths of the score, key): the sum of the terms without their words, for each
    agent in as few steps as can be, because a large company asks this of a thousand for every task.
    """
    weights, agents, cheapness = query.weights, index.agents, index.cheapness
    load, age, live = (weights.get(name, 0.0) for name in ("load", "queueAge", "live"))
    affinity, role, cost, quick = (weights.get(n, 0.0) for n in ("affinity", "role", "cost", "latency"))
    known, liveness = query.participants, {name: live * value for name, value in _LIVENESS.items()}
    fixed: dict[tuple[tuple[str, ...], str], float] = {}
    heap = []
    for key in left:
        agent, state = agents[key], states.get(key, _UNSEEN)
        place = agent.path, agent.profile
        score = fixed.get(place)
        if score is None:
            score = role * (1.0 if _exact(query, agent) else 0.5) + affinity * _nearness(query, agent)
            fixed[place] = score
        if key in known:
            score += affinity * (1.0 - _nearness(query, agent))
        score += cost * cheapness[key] + liveness.get(state.state, 0.0)
        score += load / (1 + (state.running + state.queued) / (agent.concurrency or 1))
        waits, takes = state.oldest_queued_seconds, state.run_seconds
        score += age / (1 + waits / 60) if waits else age
        score += quick / (1 + takes / 60) if takes else quick
        heap.append((-round(score * _STEPS), key))
    heapify(heap)
    return heap


def _scores(index: RouteIndex, query: RouteQuery, key: str, state: AgentState) -> Iterator[RouteTerm]:
    agent = index.agents[key]
    load = (state.running + state.queued) / max(agent.concurrency, 1)
    yield _score(query, "load", 1 / (1 + load), f"{state.running} running, {state.queued} queued")
    age = max(state.oldest_queued_seconds, 0.0)
    yield _score(query, "queueAge", 1 / (1 + age / 60), f"oldest waits {age:.0f} s")
    yield _score(query, "live", _LIVENESS.get(state.state, 0.0), state.state)
    known = key in query.participants
    yield _score(query, "affinity", 1.0 if known else _nearness(query, agent), "knows it" if known else "")
    exact = _exact(query, agent)
    yield _score(query, "role", 1.0 if exact else 0.5, "" if exact else "by inheritance")
    yield _score(query, "cost", index.cheapness[key], f"{index.prices[key]} per million tokens")
    took = f"takes {state.run_seconds:.0f} s" if state.run_seconds else ""
    yield _score(query, "latency", 1 / (1 + state.run_seconds / 60), took)


def _score(query: RouteQuery, name: str, value: float, note: str) -> RouteTerm:
    return _made(name, True, query.weights.get(name, 0.0) * value, note)


def _term(name: str, ok: bool, note: str) -> RouteTerm:
    return _made(name, ok, 0.0, note)


def _made(name: str, ok: bool, score: float, note: str) -> RouteTerm:
    return RouteTerm(name=name, ok=ok, score=round(score, 6), note=note)


def _exact(query: RouteQuery, agent: EffectiveAgent) -> bool:
    return not query.role or agent.profile.split("/")[-1] == query.role


def _nearness(query: RouteQuery, agent: EffectiveAgent) -> float:
    shared = sum(1 for a, b in zip(query.near, agent.path, strict=False) if a == b)
    return 0.5 * shared / max(len(query.near), len(agent.path), 1)


def _refused(
    filters: Sequence[_Filter], stopped: Sequence[tuple[_Filter, frozenset[str]]], room: int
) -> Iterator[RouteCandidate]:
    """Some of those that a filter stopped, whoever came furthest first."""
    order = {hard.name: position for position, hard in enumerate(filters)}
    found = ((hard, key) for hard, out in reversed(stopped) for key in sorted(out)[: max(room, 0)])
    for hard, key in list(found)[: max(room, 0)]:
        passed = (_term(f.name, True, "") for f in filters[: order[hard.name]])
        yield RouteCandidate(
            agent=key, eligible=False, terms=(*passed, _term(hard.name, False, hard.note(key)))
        )
