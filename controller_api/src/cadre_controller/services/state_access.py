"""Who may read and write which state.

An agent has its own, its node's by policy, and that of its sessions; people see what they answer for.
"""

from dataclasses import dataclass

from cadre_api.protocol.base import ActorType, Effect
from cadre_controller.auth.visibility import answers_for
from cadre_controller.ports import Actor
from cadre_controller.services.dispatch import policy_subject
from cadre_controller.services.models import LiveChart, SessionView
from cadre_core.policy.decide import PolicyRequest, evaluate
from cadre_core.policy.request import NodeResource


@dataclass(frozen=True, slots=True)
class StateAccess:
    """One actor before one scope."""

    live: LiveChart
    actor: Actor
    scope: str

    @property
    def session_id(self) -> str:
        """The session whose state it is, or nothing."""
        return self._owner if self._kind == "session" else ""

    def may(self, *, write: bool, session: SessionView | None = None) -> bool:
        """Whether the actor may read, or write. `session`: the one that the scope names."""
        if self.actor.is_admin:
            return True
        match self._kind:
            case "tenant":
                return not write
            case "node":
                return self._policy(self._owner, write=write)
            case "session":
                return session is not None and self._in_session(session, write=write)
            case _:
                return self._at_agent(write=write)

    @property
    def _kind(self) -> str:
        return self.scope.partition(":")[0]

    @property
    def _owner(self) -> str:
        return self.scope.partition(":")[2]

    def _at_agent(self, *, write: bool) -> bool:
        agent = self.live.snapshot.agents.get(self._owner)
        if agent is None:
            return False
        if self.actor.type is ActorType.AGENT:
            own = self.actor.id == f"agent:{agent.key}"
            return own and (not write or self._policy(agent.node, write=True))
        if write:
            return agent.owner == self.actor.person
        return answers_for(self.live.snapshot, self.actor, agent.key)

    def _in_session(self, session: SessionView, *, write: bool) -> bool:
        if self.actor.id in (session.created_by, *session.participants):
            agent = self.live.snapshot.agents.get(self.actor.id.removeprefix("agent:"))
            return agent is None or not write or self._policy(agent.node, write=True)
        agents = (party.removeprefix("agent:") for party in session.participants)
        return not write and any(answers_for(self.live.snapshot, self.actor, agent) for agent in agents)

    def _policy(self, node: str, *, write: bool) -> bool:
        """What the rules say; by default an agent reads and writes at its own node."""
        if node not in self.live.snapshot.nodes:
            return False
        action = "WriteState" if write else "ReadData"
        asked = PolicyRequest(policy_subject(self.actor), node, action, NodeResource(node))
        return evaluate(self.live.program, asked).effect is Effect.ALLOW
