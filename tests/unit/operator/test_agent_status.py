"""What the status of an Agent says while a change of it waits for a person."""

import pytest

from cadre_operator.admission.stamps import HeldStamp
from cadre_operator.agents.rollout import rollout_of
from cadre_operator.status.agent import AgentInput, agent_status
from cadre_operator.status.common import Sync, SyncState
from cadre_operator.watch.entries import entry_of
from tests.unit.operator.company import body


def written(reason: str) -> tuple[dict[str, dict[str, str]], str]:
    """Conditions and phase of an agent that was just created and does not count yet."""
    waiting = HeldStamp("Agent co/a-1", "sha256:x", f"{reason}: by a machine", ("co/boss",), None)
    given = AgentInput(
        entry=entry_of(body("Agent", "a-1")),
        problems=(),
        in_force=True,
        waiting=waiting,
        effective=None,
        consent=None,
        sync=SyncState(Sync.SYNCED, "1"),
        revision="1",
        now="2026-01-05T08:00:00Z",
        wanted=0,
        suspended=False,
        pods=(),
        rollout=rollout_of(None, ()),
    )
    change = agent_status(given)
    assert change is not None
    return {found["type"]: found for found in change.status["conditions"]}, str(change.status["phase"])


@pytest.mark.parametrize(
    ("reason", "told"),
    [("NoPerson", "ConsentRequired"), ("OwnerConsentRequired", "OwnerConsentRequired")],
)
def test_an_agent_of_a_machine_says_whom_to_ask(reason: str, told: str) -> None:
    conditions, phase = written(reason)
    asking = conditions["AwaitingApproval"]
    assert (asking["status"], asking["reason"], phase) == ("True", told, "AwaitingApproval")
    assert "ask co/boss to set cadre.dev/decision=approve:sha256:x" in asking["message"]
