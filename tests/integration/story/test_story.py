"""The main job on real parts: two agents settle a budget, a person decides."""

import json
import re

import pytest

from cadre_api.protocol.tasks import ApprovalState, TaskState, TaskView
from tests.integration.story.play import SEEDED, STORY, Play, begin, seeded_values
from tests.integration.story.stack import Stack
from tests.support.encodings import appears, leaks

pytestmark = [pytest.mark.goose, pytest.mark.postgres, pytest.mark.timeout(300)]

PROMPT, RESULT = SEEDED["prompt"], SEEDED["toolResult"]
PROMPT_IBAN, ACCOUNT = PROMPT["iban"][0], RESULT["iban"][0]


@pytest.fixture(scope="module")
def approved(acme: Stack) -> tuple[Play, TaskView]:
    """The story once, approved; the tests below look at it from each side."""
    acme.scripted.reset()
    play = begin(acme, "campaign")
    approval = play.approval()
    acme.cadre("approve", approval.id, "--yes", persona=play.approver)
    done = play.end()
    assert done.state is TaskState.SUCCEEDED, play.told()
    return play, done


@pytest.mark.parametrize(
    ("agent", "sees", "never"),
    [
        ("marketing-1", ("person", "email", "phone", "project"), ("iban", "card", "key")),
        ("finance-1", ("person", "email", "project", "iban"), ("key",)),
    ],
)
def test_an_agent_sees_what_it_is_cleared_for(
    acme: Stack, approved: object, agent: str, sees: tuple[str, ...], never: tuple[str, ...]
) -> None:
    """goose keeps what it saw in clear in its HOME, which only its own namespace (and root) can look into."""
    held = acme.agent_memory(f"acme/{agent}")
    for kind in sees:
        assert appears(PROMPT[kind][0], held), f"{agent} should see the {kind}"
    for kind in never:
        assert leaks(PROMPT[kind] + RESULT.get(kind, []), held) == {}, f"{agent} must not see the {kind}"


def test_the_ledger_booked_once_and_got_real_values(acme: Stack, approved: object) -> None:
    """A tool server sees what it is cleared for: the real IBAN, so that it can pay."""
    assert acme.booked() == [("marketing", 18000.0, PROMPT_IBAN)]
    (memo,) = acme.rows("select memo from entries")[0]
    assert PROMPT["project"][0] in memo
    assert PROMPT["person"][0] in memo


def test_the_requester_reads_people_but_no_account_numbers(approved: tuple[Play, TaskView]) -> None:
    result = approved[1].result
    assert "18000 EUR" in result
    assert RESULT["person"][0] in result
    assert RESULT["email"][0] in result
    assert RESULT["phone"][0] in result
    assert not appears(ACCOUNT, result.encode())
    assert re.search(r"account IBANx\w{17}", result)


def test_whoever_is_cleared_for_it_reads_the_account_number(approved: tuple[Play, TaskView]) -> None:
    play, done = approved
    admin = play.stack.api("h-keller").approvals("Approved")
    mine = next(a for a in admin if a.kind == "ToolCall" and PROMPT_IBAN in json.dumps(a.arguments))
    assert (
        mine.tool == STORY["campaign"]["tool"].replace("ledger/", "acme/ledger/") or "post_entry" in mine.tool
    )
    assert mine.arguments["amount"] == 18000
    assert mine.arguments["iban"] == PROMPT_IBAN
    assert any("large-postings-need-the-head" in rule for rule in mine.rules)
    assert [vote.person.rsplit("/", 1)[-1] for vote in mine.votes] == ["h-keller"]
    assert done.state is TaskState.SUCCEEDED


def test_the_model_saw_no_planted_value(acme: Stack, approved: object) -> None:
    requests = acme.scripted.requests()
    assert len(requests) >= 6
    assert leaks(seeded_values(), acme.scripted.raw()) == {}
    assert {request["headers"]["authorization"] for request in requests} <= {"present", "absent"}
    whole = acme.scripted.raw().decode()
    for tag in ("PERSON", "EMAIL", "IBAN", "PROJECT"):
        assert re.search(rf"{tag}x[0-9a-z]{{17}}", whole), f"no {tag} token reached the model"


def test_no_planted_value_is_stored(acme: Stack, approved: object) -> None:
    dump = acme.dump()
    assert re.search(rb"IBANx1[0-9a-z]{16}", dump), "the dump should hold tokens"
    assert leaks(seeded_values(), dump) == {}


def test_no_planted_value_is_logged(acme: Stack, approved: object) -> None:
    logs = [log for log in acme.home.logs.rglob("*") if log.is_file()]
    assert {log.name: found for log in logs if (found := leaks(seeded_values(), log.read_bytes()))} == {}


def test_other_people_read_what_they_are_cleared_for(acme: Stack, approved: tuple[Play, TaskView]) -> None:
    """The same result, restored for its reader and for nobody else."""
    task = approved[0].task.id
    seen = json.loads(acme.cadre("task", "result", task, "-o", "json"))["result"]
    assert not appears(PROMPT["key"][0], seen.encode())


def test_the_story_is_told_with_its_reasons(approved: tuple[Play, TaskView]) -> None:
    play, _ = approved
    kinds = {event.kind for event in play.events()}
    assert kinds >= {"Created", "Routed", "Leased", "ApprovalRequested", "ApprovalDecided", "Succeeded"}
    assert len({event.task_id for event in play.events()}) == 2


def test_the_audit_verifies_and_names_the_rule(acme: Stack, approved: object) -> None:
    report = acme.cadre("audit", "verify")
    assert "ok" in report.lower()
    export = acme.cadre("audit", "export")
    assert "large-postings-need-the-head" in export
    assert leaks(seeded_values(), export.encode()) == {}


def test_money_is_accounted_for(approved: tuple[Play, TaskView]) -> None:
    usage = approved[1].usage
    assert usage.model_calls >= 3
    assert usage.input_tokens > 0
    assert float(usage.cost) > 0


def test_denied_both_agents_say_so_and_nothing_is_booked(acme: Stack) -> None:
    before = acme.booked()
    play = begin(acme, "campaign")
    approval = play.approval()
    acme.cadre("deny", approval.id, "--yes", "-m", "not this quarter", persona=play.approver)
    done = play.end()
    assert done.state is TaskState.SUCCEEDED, play.told()
    assert "did not approve" in done.result
    assert acme.booked() == before


def test_who_may_not_decide_cannot(acme: Stack) -> None:
    play = begin(acme, "campaign")
    approval = play.approval()
    for person in (play.requester, "m-ruiz", "n-fischer"):
        with pytest.raises(AssertionError, match=r"(?i)not|refused|denied|forbidden"):
            acme.cadre("approve", approval.id, "--yes", persona=person)
    play.decide(ApprovalState.DENIED)
    assert play.end().state is TaskState.SUCCEEDED
