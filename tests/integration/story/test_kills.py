"""kill -9 of each program at several points: the story ends the same, and each effect happens once."""

import json

import pytest

from cadre_api.protocol.tasks import ApprovalState, ApprovalView, TaskState
from tests.integration.story.play import SEEDED, Play, begin, seeded_values
from tests.integration.story.stack import Stack, patiently, wait_for
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


def test_a_month_is_closed_although_the_controller_is_killed(acme: Stack) -> None:
    month = ("workflow", "run", "month-end-close", "--param", "month=2027-01", "-o", "json")
    begun = json.loads(acme.cadre(*month, persona="m-ruiz"))["id"]
    acme.kill("controller")
    approval = asked_to_sign(acme)
    assert "41 invoices match" in str(approval.arguments)
    assert "3 orders are open" in str(approval.arguments)
    assert approval.approvers == ("acme/h-keller",)
    acme.cadre("approve", approval.id, "--yes", persona="h-keller")
    told = acme.cadre("workflow", "wait", begun, "--timeout", "120", persona="m-ruiz")
    assert "Succeeded" in told
    assert "The close of 2027-01 is published." in told
    run = acme.api("m-ruiz").execution(begun)
    names = ["accruals", "invoices", "orders", "publish", "sign-off", "tell"]
    assert sorted(step.name for step in run.steps) == names
    given = [task for task in acme.api().tasks(limit=500) if "2027-01" in task.prompt]
    assert len(given) == 3


def asked_to_sign(acme: Stack) -> ApprovalView:
    """What the head of finance is asked."""
    api = acme.api("h-keller")

    def look() -> ApprovalView | None:
        waiting = patiently(lambda: api.approvals("Pending"), ())
        return next((approval for approval in waiting if approval.kind == "Step"), None)

    return wait_for(look, "approval of the close", 120, acme.logs)


def test_the_audit_verifies_after_all_of_it(acme: Stack) -> None:
    assert "ok" in acme.cadre("audit", "verify").lower()
    assert leaks(seeded_values(), acme.dump()) == {}
