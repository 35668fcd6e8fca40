"""Routing that explains itself: hard filters first, then a score; the same question gets the same answer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from cadre_api.protocol.base import Effect
from cadre_api.protocol.tasks import RouteCandidate, RouteResult, RouteTerm
from cadre_core.model import EffectiveAgent, Snapshot
from cadre_core.policy.request import Decision

Decide = Callable[[EffectiveAgent], Decision]
"""May the requester give a task to this agent?"""

_AWAY = frozenset({"Failed", "Frozen", "Draining", "Suspended"})
_WEIGHTS = {"load": 4.0, "queueAge": 2.0, "live": 3.0, "affinity": 1.5, "role": 1.0, "cost": 1.0}


@dataclass(frozen=True, slots=True)
class AgentState:
    """How an agent is right now."""

    state: str = "Offline"
    """Idle | Busy | Starting | Offline | Draining | Failed | Frozen. Offline still gets work, which waits."""
    running: int = 0
    queued: int = 0
    oldest_queued_seconds: float = 0.0
    model_available: bool = True


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
    exclude: frozenset[str] = frozenset()
    """Agents that must not get it, such as the one that asks."""
    participants: frozenset[str] = frozenset()
    """Agents that already work in the session."""
    near: tuple[str, ...] = ()
    """Node path of the requester."""
    weights: Mapping[str, float] = field(default_factory=lambda: _WEIGHTS)


def route(
    snapshot: Snapshot, query: RouteQuery, states: Mapping[str, AgentState], decide: Decide
) -> RouteResult:
    """Choose an agent. With none eligible `agent` is empty and `reason` names what was lacking."""
    known = [agent for key, agent in sorted(snapshot.agents.items()) if _named(query, key)]
    prices = {agent.key: _price(snapshot, agent) for agent in known}
    candidates = [
        _candidate(query, agent, states.get(agent.key, AgentState()), decide, prices) for agent in known
    ]
    ranked = sorted(candidates, key=lambda c: (not c.eligible, -c.score, c.agent))
    if ranked and ranked[0].eligible:
        return RouteResult(agent=ranked[0].agent, candidates=tuple(ranked), reason="Chosen")
    return RouteResult(candidates=tuple(ranked), reason=_why_nobody(query, ranked))


def _named(query: RouteQuery, key: str) -> bool:
    return not query.agent or query.agent in {key, key.split("/")[1]}


def _candidate(
    query: RouteQuery,
    agent: EffectiveAgent,
    state: AgentState,
    decide: Decide,
    prices: Mapping[str, Decimal],
) -> RouteCandidate:
    terms = []
    for term in _filters(query, agent, state, decide):
        terms.append(term)
        if not term.ok:
            return RouteCandidate(agent=agent.key, eligible=False, terms=tuple(terms))
    scores = tuple(_scores(query, agent, state, prices))
    total = round(sum(term.score for term in scores), 6)
    return RouteCandidate(agent=agent.key, eligible=True, score=total, terms=(*terms, *scores))


def _filters(
    query: RouteQuery, agent: EffectiveAgent, state: AgentState, decide: Decide
) -> Iterator[RouteTerm]:
    yield _term("role", not query.role or query.role in _roles(agent), f"is {agent.profile}")
    missing = sorted(set(query.skills) - capabilities(agent))
    yield _term("skills", not missing, f"lacks {', '.join(missing)}" if missing else "")
    yield _term(
        "recipe", not query.recipe or query.recipe in agent.recipes, f"recipe {query.recipe or 'any'}"
    )
    yield _term("locale", _speaks(query, agent), "")
    yield _term("excluded", agent.key not in query.exclude, "")
    yield _term("lifecycle", agent.lifecycle == "Running", agent.lifecycle)
    decision = decide(agent)
    yield _term("permission", decision.effect is not Effect.DENY, decision.message or decision.reason)
    yield _term("live", state.state not in _AWAY, state.state)
    yield _term("model", state.model_available and bool(agent.models.get("work")), "")


def _term(name: str, ok: bool, note: str) -> RouteTerm:
    return RouteTerm(name=name, ok=ok, note=note)


def _roles(agent: EffectiveAgent) -> set[str]:
    return {key.split("/")[1] for key in agent.profile_lineage} | {agent.profile}


def capabilities(agent: EffectiveAgent) -> set[str]:
    """Return what an agent can be found by: skills and their tags, recipes, and the tools it may use."""
    found = {*agent.skills, *(tag for tags in agent.skills.values() for tag in tags), *agent.recipes}
    for tool in agent.tools:
        found |= {tool.name, tool.tool, tool.server.split("/")[-1]}
    return found


def _speaks(query: RouteQuery, agent: EffectiveAgent) -> bool:
    spoken = agent.locale.get("languages", ())
    primary = (
        {str(tag).split("-")[0].lower() for tag in spoken} if isinstance(spoken, tuple | list) else set()
    )
    return not query.languages or bool(primary & {tag.split("-")[0].lower() for tag in query.languages})


def _scores(
    query: RouteQuery, agent: EffectiveAgent, state: AgentState, prices: Mapping[str, Decimal]
) -> Iterator[RouteTerm]:
    load = (state.running + state.queued) / max(agent.concurrency, 1)
    yield _score(query, "load", 1 / (1 + load), f"{state.running} running, {state.queued} queued")
    age = max(state.oldest_queued_seconds, 0.0)
    yield _score(query, "queueAge", 1 / (1 + age / 60), f"oldest waits {age:.0f} s")
    yield _score(query, "live", 1.0 if state.state in {"Idle", "Busy"} else 0.0, state.state)
    yield _score(query, "affinity", _affinity(query, agent), "")
    exact = not query.role or agent.profile.split("/")[-1] == query.role
    yield _score(query, "role", 1.0 if exact else 0.5, "" if exact else "by inheritance")
    dearest = max(prices.values(), default=Decimal(0))
    cheap = float(1 - prices[agent.key] / dearest) if dearest else 1.0
    yield _score(query, "cost", cheap, f"{prices[agent.key]} per million tokens")


def _score(query: RouteQuery, name: str, value: float, note: str) -> RouteTerm:
    return RouteTerm(name=name, score=round(query.weights.get(name, 0.0) * value, 6), note=note)


def _affinity(query: RouteQuery, agent: EffectiveAgent) -> float:
    if agent.key in query.participants:
        return 1.0
    shared = sum(1 for a, b in zip(query.near, agent.path, strict=False) if a == b)
    return 0.5 * shared / max(len(query.near), len(agent.path), 1)


def _price(snapshot: Snapshot, agent: EffectiveAgent) -> Decimal:
    """Price of a million tokens in and a million out, of the model that is tried first for work."""
    choice = next(iter(agent.models.get("work", ())), None)
    provider = snapshot.providers.get(choice.provider) if choice else None
    price = provider.models.get(choice.model, {}).get("price") if provider and choice else None
    if not isinstance(price, Mapping):
        return Decimal(0)
    try:
        return Decimal(str(price.get("inputPerMillion", 0))) + Decimal(str(price.get("outputPerMillion", 0)))
    except InvalidOperation:
        return Decimal(0)


_REASONS = {
    "role": "NoSuchRole",
    "skills": "NoSkill",
    "recipe": "NoRecipe",
    "locale": "NoLanguage",
    "excluded": "Excluded",
    "lifecycle": "Suspended",
    "permission": "PolicyDenied",
    "live": "Unavailable",
    "model": "ModelUnavailable",
}


def _why_nobody(query: RouteQuery, candidates: list[RouteCandidate]) -> str:
    """Name the filter that stopped whoever came furthest: what stands between the task and an agent."""
    if not candidates:
        return "UnknownAgent" if query.agent else "NoAgents"
    furthest = max(candidates, key=lambda c: len(c.terms))
    return _REASONS[furthest.terms[-1].name]
