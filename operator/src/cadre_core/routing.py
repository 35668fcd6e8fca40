"""Routing that explains itself: hard filters first, then a score; the same question gets the same answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop

from cadre_api.protocol.base import Effect
from cadre_api.protocol.tasks import RouteCandidate, RouteResult, RouteTerm
from cadre_core.model import EffectiveAgent
from cadre_core.policy.request import Decision
from cadre_core.route_board import LIVENESS, STEPS, UNSEEN, WEIGHTS, AgentState, RouteBoard, route_board
from cadre_core.route_index import NOBODY, RouteIndex, Seat, capabilities, route_index

__all__ = [
    "EXPLAINED",
    "AgentState",
    "RouteBoard",
    "RouteIndex",
    "RouteQuery",
    "capabilities",
    "route",
    "route_board",
    "route_index",
]

Decide = Callable[[EffectiveAgent], Decision]
"""May the requester give a task to this agent?"""

EXPLAINED = 5
"""Candidates that are explained term by term; of the rest the answer counts which filter stopped them."""


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


@dataclass(frozen=True, slots=True)
class _Filter:
    """A hard filter: whom it lets pass, and what it says of the others."""

    name: str
    reason: str
    passing: frozenset[str]
    note: Callable[[str], str]


def route(board: RouteBoard, query: RouteQuery, decide: Decide) -> RouteResult:
    """Choose the best agents that pass every filter, permission last.

    `agents` are the chosen ones, best first, `agent` the first of them. With none `reason` names the filter
    that stopped whoever came furthest.
    """
    index = board.index
    left = index.by_name.get(query.agent, NOBODY) if query.agent else index.everyone
    if not left:
        return RouteResult(reason="UnknownAgent" if query.agent else "NoAgents")
    total, filters = len(left), _filters(board, query)
    stopped: list[tuple[_Filter, frozenset[str]]] = []
    for hard in filters:
        if hard.passing is index.everyone:
            continue
        if out := left - hard.passing:
            stopped.append((hard, out))
            left &= hard.passing
    names, explained, denied = _permitted(board, query, decide, left)
    rejected = {hard.name: len(out) for hard, out in stopped} | ({"permission": denied} if denied else {})
    shown = (*explained[:EXPLAINED], *_refused(filters, stopped, EXPLAINED - len(explained)))
    if names:
        return RouteResult(
            agent=names[0],
            agents=tuple(names),
            candidates=shown,
            reason="Chosen",
            total=total,
            rejected=rejected,
        )
    reason = "PolicyDenied" if denied else stopped[-1][0].reason
    return RouteResult(candidates=shown, reason=reason, total=total, rejected=rejected)


def _filters(board: RouteBoard, query: RouteQuery) -> tuple[_Filter, ...]:
    """The filters that can stop anybody, in the order in which they are told."""
    index, states = board.index, board.states
    agents, everyone = index.agents, index.everyone
    skilled = (index.by_capability.get(name, NOBODY) for name in query.skills)
    able = frozenset.intersection(*skilled) if query.skills else everyone
    tongues = {tag.split("-")[0].lower() for tag in query.languages}
    speaks = NOBODY.union(*(index.by_language.get(tag, NOBODY) for tag in tongues)) if tongues else everyone
    allowed = everyone - query.exclude if query.exclude else everyone
    here = everyone - board.away if board.away else everyone
    equipped = index.equipped - board.mute if board.mute else index.equipped

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
        _Filter("excluded", "Excluded", allowed, lambda _: ""),
        _Filter("lifecycle", "Suspended", index.running, lambda key: agents[key].lifecycle),
        _Filter("live", "Unavailable", here, lambda key: states[key].state),
        _Filter("model", "ModelUnavailable", equipped, lambda _: "no model for work is usable"),
    )


def _either(sets: Mapping[str, frozenset[str]], wanted: str, everyone: frozenset[str]) -> frozenset[str]:
    return sets.get(wanted, NOBODY) if wanted else everyone


def _is(agent: EffectiveAgent) -> str:
    return f"is {agent.profile}"


def _permitted(
    board: RouteBoard, query: RouteQuery, decide: Decide, left: frozenset[str]
) -> tuple[list[str], list[RouteCandidate], int]:
    """Ask policy in order of the score until enough are found: the chosen, some that are explained (they
    come first), how many were denied.
    """
    index, heap = board.index, _ranked(board, query, left)
    wanted = query.wanted or len(heap)
    chosen: list[str] = []
    passed: list[RouteCandidate] = []
    refused: list[RouteCandidate] = []
    denied = 0
    while heap and (len(chosen) < wanted or len(passed) + len(refused) < EXPLAINED):
        rank, key = heappop(heap)
        decision = decide(index.agents[key])
        ok = decision.effect is not Effect.DENY
        denied += not ok
        if ok and len(chosen) < wanted:
            chosen.append(key)
        if len(passed if ok else refused) >= EXPLAINED:
            continue
        permission = _term("permission", ok, decision.message or decision.reason)
        if ok:
            terms = permission, *_scores(index, query, key, board.states.get(key, UNSEEN))
            passed.append(RouteCandidate(agent=key, eligible=True, score=-rank / STEPS, terms=terms))
        else:
            refused.append(RouteCandidate(agent=key, eligible=False, terms=(permission,)))
    return chosen, passed + refused, denied


def _ranked(board: RouteBoard, query: RouteQuery, left: frozenset[str]) -> list[tuple[int, str]]:
    """A heap of (minus millionths of the score, key): what an agent is worth anyway, and what its place in
    the company adds for this question, which is the same for all of one place.
    """
    worth, seats = board.worth, board.index.seats
    extra = [-_extra(query, seat) for seat in board.index.places]
    heap = [(extra[seats[key]] - worth[key], key) for key in left]
    if known := query.participants & left:
        heap = [entry for entry in heap if entry[1] not in known]
        for key in known:
            agent = board.index.agents[key]
            nearer = WEIGHTS["affinity"] * (1.0 - _nearness(query, agent.path))
            heap.append((extra[seats[key]] - worth[key] - round(nearer * STEPS), key))
    heapify(heap)
    return heap


def _extra(query: RouteQuery, seat: Seat) -> int:
    path, profile = seat
    score = WEIGHTS["role"] * _closeness(query, profile) + WEIGHTS["affinity"] * _nearness(query, path)
    return round(score * STEPS)


def _scores(index: RouteIndex, query: RouteQuery, key: str, state: AgentState) -> Iterator[RouteTerm]:
    agent = index.agents[key]
    load = (state.running + state.queued) / max(agent.concurrency, 1)
    yield _score("load", 1 / (1 + load), f"{state.running} running, {state.queued} queued")
    age = max(state.oldest_queued_seconds, 0.0)
    yield _score("queueAge", 1 / (1 + age / 60), f"oldest waits {age:.0f} s")
    yield _score("live", LIVENESS.get(state.state, 0.0), state.state)
    known = key in query.participants
    yield _score("affinity", 1.0 if known else _nearness(query, agent.path), "knows it" if known else "")
    close = _closeness(query, agent.profile)
    yield _score("role", close, "" if close == 1.0 else "by inheritance")
    yield _score("cost", index.cheapness[key], f"{index.prices[key]} per million tokens")
    took = f"takes {state.run_seconds:.0f} s" if state.run_seconds else ""
    yield _score("latency", 1 / (1 + state.run_seconds / 60), took)


def _score(name: str, value: float, note: str) -> RouteTerm:
    return _made(name, True, WEIGHTS[name] * value, note)


def _term(name: str, ok: bool, note: str) -> RouteTerm:
    return _made(name, ok, 0.0, note)


def _made(name: str, ok: bool, score: float, note: str) -> RouteTerm:
    return RouteTerm(name=name, ok=ok, score=round(score, 6), note=note)


def _closeness(query: RouteQuery, profile: str) -> float:
    """1 for the role that is asked for itself, a half for one that inherits it."""
    return 1.0 if not query.role or profile.split("/")[-1] == query.role else 0.5


def _nearness(query: RouteQuery, path: Sequence[str]) -> float:
    shared = sum(1 for a, b in zip(query.near, path, strict=False) if a == b)
    return 0.5 * shared / max(len(query.near), len(path), 1)


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
