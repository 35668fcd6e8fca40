"""kill -9 of each program at several points: the story ends the same, and each effect happens once."""

import pytest

from cadre_api.protocol.tasks import ApprovalState, TaskState
from tests.integration.story.play import SEEDED, Play, begin, seeded_values
from tests.integration.story.stack import Stack
from tests.support.encodings import leaks

pytestmark = [pytest.mark.goose, pytest.mark.postgres, pytest.mark.timeout(300)]

IBAN = SEEDED["prompt"]["iban"][0]
BEFORE_DECISION = [
    ("controller", "Leased"),
    ("controller", "ApprovalRequested"),
    ("guard:acme/marketing-1", "ModelCalled"),
    ("guard:acme/finance-1", "ApprovalRequested"),
    ("goose:acme/marketing-1", "ToolReturned"),
    ("goose:acme/finance-1", "ApprovalRequested"),
]
AFTER_DECISION = ["controller", "guard:acme/finance-1", "goose:acme/finance-1", "guard:acme/marketing-1"]


@pytest.fixture(autouse=True)
def settled(acme: Stack) -> None:
    acme.settle()


def ends_as_ever(acme: Stack, play: Play, booked: int) -> None:
    """The same result as without a kill; one entry more in the ledger, one task more at finance."""
    done = play.end(seconds=120)
    assert done.state is TaskState.SUCCEEDED, play.told() + acme.logs()
    assert "Finance approved 18000 EUR" in done.result, done.result
    assert acme.booked()[booked:] == [("marketing", 18000.0, IBAN)]
    children = [task for task in acme.api().tasks(limit=500) if task.parent_task_id == play.task.id]
    assert len(children) == 1
    assert leaks(seeded_values(), acme.scripted.raw()) == {}


@pytest.mark.parametrize(("victim", "moment"), BEFORE_DECISION)
def test_killed_before_the_decision(acme: Stack, victim: str, moment: str) -> None:
    booked = len(acme.booked())
    play = begin(acme, "campaign")
    play.wait_event(moment)
    acme.kill(victim)
    play.decide(ApprovalState.APPROVED)
    ends_as_ever(acme, play, booked)


@pytest.mark.parametrize("victim", AFTER_DECISION)
def test_killed_after_the_decision(acme: Stack, victim: str) -> None:
    booked = len(acme.booked())
    play = begin(acme, "campaign")
    play.decide(ApprovalState.APPROVED)
    acme.kill(victim)
    ends_as_ever(acme, play, booked)


def test_the_audit_verifies_after_all_of_it(acme: Stack) -> None:
    assert "ok" in acme.cadre("audit", "verify").lower()
    assert leaks(seeded_values(), acme.dump()) == {}
