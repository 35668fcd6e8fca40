"""Stop in the middle of the story: real agents stand still and go on, and every effect happens once."""

import pytest

from cadre_api.protocol.tasks import ApprovalState, TaskState
from tests.integration.story.play import SEEDED, Play, begin
from tests.integration.story.stack import Stack, wait_for

pytestmark = [pytest.mark.goose, pytest.mark.postgres, pytest.mark.timeout(300)]

IBAN = SEEDED["prompt"]["iban"][0]


@pytest.fixture(autouse=True)
def settled(acme: Stack) -> None:
    acme.settle()


def frozen(acme: Stack) -> set[str]:
    """Agents that are shown as frozen."""
    return {str(row["key"]) for row in acme.api().agents() if row["frozen"]}


def given_to(play: Play, agent: str) -> bool:
    """Whether a task of the story has come to the agent."""
    return any(event.kind == "Routed" and agent in event.summary for event in play.events())


@pytest.mark.parametrize("moment", ["Leased", "ModelCalled", "ApprovalRequested"])
def test_frozen_in_the_middle_it_ends_as_ever(acme: Stack, moment: str) -> None:
    booked = len(acme.booked())
    play = begin(acme, "campaign")
    play.wait_event(moment)
    assert "frozen" in acme.cadre("freeze", "tenant", "-m", "an exercise")
    assert len(frozen(acme)) == len(acme.api().agents())
    assert "an exercise" in acme.cadre("freeze", "list")
    said = len(acme.api().events(play.task.id))
    if moment == "ApprovalRequested":
        play.decide(ApprovalState.APPROVED)
    assert "thawed" in acme.cadre("thaw", "tenant")
    assert not frozen(acme)
    if moment != "ApprovalRequested":
        play.decide(ApprovalState.APPROVED)
    done = play.end(seconds=120)
    assert done.state is TaskState.SUCCEEDED, play.told() + acme.logs()
    assert "Finance approved 18000 EUR" in done.result, done.result
    assert acme.booked()[booked:] == [("marketing", 18000.0, IBAN)]
    kinds = [event.kind for event in acme.api().events(play.task.id)]
    assert kinds.index("Frozen") < kinds.index("Thawed") and len(kinds) > said


def test_work_given_to_a_frozen_agent_waits_for_the_thaw(acme: Stack) -> None:
    acme.cadre("freeze", "agent", "finance-1", "-m", "audit")
    booked = len(acme.booked())
    play = begin(acme, "campaign")
    wait_for(
        lambda: True if given_to(play, "acme/finance-1") else None, "task at the frozen agent", 60, play.told
    )
    assert frozen(acme) == {"acme/finance-1"}
    acme.cadre("thaw", "agent", "finance-1")
    play.decide(ApprovalState.APPROVED)
    assert play.end(seconds=120).state is TaskState.SUCCEEDED, play.told() + acme.logs()
    assert len(acme.booked()) == booked + 1
