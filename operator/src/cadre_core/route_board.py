"""How the agents stand right now, worked out once per reading of their states: a choice among a thousand of
them, which a busy company asks for with every task, then adds two whole numbers for each."""

from collections.abc import Mapping
from dataclasses import dataclass

from cadre_core.model import EffectiveAgent
from cadre_core.route_index import RouteIndex

WEIGHTS: Mapping[str, float] = {
    "load": 4.0,
    "queueAge": 2.0,
    "live": 3.0,
    "affinity": 1.5,
    "role": 1.0,
    "cost": 1.0,
    "latency": 1.0,
}
STEPS = 1_000_000
"""Scores are told, and compared, to six digits."""

_AWAY = frozenset({"Failed", "Suspended"})
_LAST = -1000.0
"""Times the weight of `live`: an agent that is held gets work, which waits, only where nobody else may."""
LIVENESS: Mapping[str, float] = {"Idle": 1.0, "Busy": 1.0, "Frozen": _LAST, "Draining": _LAST}


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


UNSEEN = AgentState()


@dataclass(slots=True)
class RouteBoard:
    """The agents of a chart with their states; build it with `route_board`."""

    index: RouteIndex
    states: dict[str, AgentState]
    away: frozenset[str]
    mute: frozenset[str]
    """Agents none of whose models for work can be asked."""
    worth: dict[str, int]
    """Agent -> the part of its score, in millionths, that depends on no question."""

    def given(self, key: str) -> None:
        """Count one more task that waits for this agent."""
        now = self.states.get(key, UNSEEN)
        state = AgentState(
            now.state,
            now.running,
            now.queued + 1,
            now.oldest_queued_seconds,
            now.model_available,
            now.run_seconds,
        )
        self.states[key] = state
        if key in self.worth:
            self.worth[key] = _worth(self.index.agents[key], self.index.cheapness[key], state)


def route_board(index: RouteIndex, states: Mapping[str, AgentState]) -> RouteBoard:
    """Set the agents' states against the chart; agents without one were never seen."""
    cheapness, seen = index.cheapness, states.get
    return RouteBoard(
        index=index,
        states=dict(states),
        away=frozenset(key for key, state in states.items() if state.state in _AWAY),
        mute=frozenset(key for key, state in states.items() if not state.model_available),
        worth={key: _worth(agent, cheapness[key], seen(key, UNSEEN)) for key, agent in index.agents.items()},
    )


def _worth(agent: EffectiveAgent, cheapness: float, state: AgentState) -> int:
    score = WEIGHTS["cost"] * cheapness + WEIGHTS["live"] * LIVENESS.get(state.state, 0.0)
    score += WEIGHTS["load"] / (1 + (state.running + state.queued) / max(agent.concurrency, 1))
    score += WEIGHTS["queueAge"] / (1 + state.oldest_queued_seconds / 60)
    score += WEIGHTS["latency"] / (1 + state.run_seconds / 60)
    return round(score * STEPS)
