"""What routing asks a chart, worked out once per revision: with it a choice among a thousand agents takes set
operations instead of a look at each."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from cadre_core.model import EffectiveAgent, Snapshot

type_sets = Mapping[str, frozenset[str]]
NOBODY: frozenset[str] = frozenset()
Seat = tuple[tuple[str, ...], str]
"""Node path and profile."""


@dataclass(frozen=True, slots=True)
class RouteIndex:
    """Agent keys by what they are found by; build it with `route_index`."""

    agents: Mapping[str, EffectiveAgent]
    everyone: frozenset[str]
    by_name: type_sets
    """Key `namespace/name` and bare name."""
    by_role: type_sets
    """Own profile and those it inherits."""
    by_capability: type_sets
    by_recipe: type_sets
    by_language: type_sets
    """Primary language tag, lower case."""
    by_residency: type_sets
    running: frozenset[str]
    equipped: frozenset[str]
    """Agents that have a model for work."""
    cheapness: Mapping[str, float]
    """1 for the cheapest conceivable, 0 for the dearest of the chart."""
    prices: Mapping[str, Decimal]
    places: tuple[Seat, ...]
    """What agents share that a question looks at: node path and profile."""
    seats: Mapping[str, int]
    """Agent -> its place in `places`."""


def route_index(snapshot: Snapshot) -> RouteIndex:
    """Index a snapshot; keep the result as long as the snapshot."""
    agents = dict(sorted(snapshot.agents.items()))
    prices = {key: _price(snapshot, agent) for key, agent in agents.items()}
    dearest = max(prices.values(), default=Decimal(0))
    places = {
        seat: position for position, seat in enumerate({(a.path, a.profile): None for a in agents.values()})
    }
    return RouteIndex(
        agents=agents,
        everyone=frozenset(agents),
        by_name=_inverted((key, (key, key.split("/")[1])) for key in agents),
        by_role=_inverted((key, _roles(agent)) for key, agent in agents.items()),
        by_capability=_inverted((key, capabilities(agent)) for key, agent in agents.items()),
        by_recipe=_inverted((key, agent.recipes) for key, agent in agents.items()),
        by_language=_inverted((key, _languages(agent)) for key, agent in agents.items()),
        by_residency=_inverted((key, _residency(agent)) for key, agent in agents.items()),
        running=frozenset(key for key, agent in agents.items() if agent.lifecycle == "Running"),
        equipped=frozenset(key for key, agent in agents.items() if agent.models.get("work")),
        cheapness={key: float(1 - price / dearest) if dearest else 1.0 for key, price in prices.items()},
        prices=prices,
        places=tuple(places),
        seats={key: places[agent.path, agent.profile] for key, agent in agents.items()},
    )


def capabilities(agent: EffectiveAgent) -> set[str]:
    """Return what an agent can be found by: skills and their tags, recipes, and the tools it may use."""
    found = {*agent.skills, *(tag for tags in agent.skills.values() for tag in tags), *agent.recipes}
    for tool in agent.tools:
        found |= {tool.name, tool.tool, tool.server.split("/")[-1]}
    return found


def _inverted(rows: Iterable[tuple[str, Iterable[str]]]) -> type_sets:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for key, names in rows:
        for name in names:
            found[name].add(key)
    return {name: frozenset(keys) for name, keys in found.items()}


def _roles(agent: EffectiveAgent) -> set[str]:
    return {key.split("/")[1] for key in agent.profile_lineage} | {agent.profile}


def _languages(agent: EffectiveAgent) -> Iterator[str]:
    spoken = agent.locale.get("languages", ())
    if isinstance(spoken, tuple | list):
        yield from (str(tag).split("-")[0].lower() for tag in spoken)


def _residency(agent: EffectiveAgent) -> tuple[str, ...]:
    place = agent.locale.get("dataResidency", "")
    return (str(place).lower(),) if place else ()


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
