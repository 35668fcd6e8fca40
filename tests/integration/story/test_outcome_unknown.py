"""A wire transfer cut in the middle: nobody knows if the bank did it, so a person is asked."""

import pytest

from cadre_api.protocol.tasks import ApprovalKind, ApprovalState, TaskState
from tests.integration.story.play import SEEDED, Play, begin
from tests.integration.story.stack import Stack, wait_for

pytestmark = [pytest.mark.goose, pytest.mark.postgres, pytest.mark.timeout(300)]

ORDER = (4200.0, SEEDED["prompt"]["iban"][0], 0)


def cut_in_the_middle(acme: Stack) -> Play:
    """The bank has the order and thinks; then the controller dies, and the ledger with it."""
    orders = len(acme.transfers())
    play = begin(acme, "transfer")
    play.decide(ApprovalState.APPROVED)
    wait_for(lambda: True if len(acme.transfers()) > orders else None, "order at the bank")
    acme.kill("controller")
    return play


@pytest.fixture(scope="module", autouse=True)
def slow_bank(acme: Stack) -> None:
    acme.apply(bank_seconds=600, tool_timeout="300s")


def asked(play: Play) -> None:
    """The head of finance is asked what to do about it."""
    approval = play.approval(seconds=90)
    assert approval.kind is ApprovalKind.OUTCOME_UNKNOWN
    task = play.stack.api(play.requester).task(play.task.id)
    assert task.state is TaskState.OUTCOME_UNKNOWN


def test_it_asks_and_a_no_means_no(acme: Stack) -> None:
    play = cut_in_the_middle(acme)
    asked(play)
    assert acme.transfers() == [ORDER]
    play.decide(ApprovalState.DENIED)
    done = wait_for(
        lambda: found if (found := play.end()).state is not TaskState.OUTCOME_UNKNOWN else None, "an end"
    )
    assert acme.transfers() == [ORDER]
    assert done.state in (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED)


def test_a_yes_runs_it_again_once(acme: Stack) -> None:
    before = acme.transfers()
    play = cut_in_the_middle(acme)
    asked(play)
    acme.apply(bank_seconds=0)
    play.decide(ApprovalState.APPROVED)
    done = wait_for(
        lambda: found if (found := play.end()).state is not TaskState.OUTCOME_UNKNOWN else None, "an end"
    )
    assert done.state is TaskState.SUCCEEDED, play.told()
    assert acme.transfers() == [*before, ORDER, (*ORDER[:2], 1)]
