"""What people read: story lines, listings, the status tree, the waterfall."""

import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from cadre_api.protocol.tasks import (
    ApprovalKind,
    ApprovalState,
    ApprovalView,
    TaskEvent,
    TaskState,
    TaskView,
    Usage,
)
from cadre_detect import TOKEN_RE, make_token
from cadre_local.render import story
from cadre_local.render.masking import masked_diff
from cadre_local.render.plan import render_plan
from cadre_local.render.status import boundary_text, render_status
from cadre_local.render.tables import age, money, one_line, print_approvals, print_table, print_tasks, short
from cadre_local.render.waterfall import arrange, print_waterfall

START = datetime(2026, 1, 1, tzinfo=UTC)


def console() -> Console:
    return Console(file=io.StringIO(), width=160, highlight=False)


def printed(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def test_a_story_line_says_when_what_who_and_why() -> None:
    event = TaskEvent(
        seq=1,
        at=START + timedelta(seconds=1.5),
        task_id="t",
        kind="ApprovalDecided",
        summary="Approved",
        data={"approver": "acme/h-keller", "rules": ["acme/controls#large"], "redactions": {"PERSON": 2}},
        duration_ms=2100,
    )
    line = story.event_line(event, START, "finance-1").plain
    assert line.startswith("  +1.50s ☑ ApprovalDecided")
    for part in (
        "finance-1",
        "Approved",
        "masked 2 PERSON",
        "rule acme/controls#large",
        "by acme/h-keller",
        "2.1 s",
    ):
        assert part in line


def test_an_unknown_kind_of_event_is_still_shown() -> None:
    event = TaskEvent(seq=1, at=START, task_id="t", kind="SomethingNew", summary="x [not markup]")
    assert "SomethingNew" in story.event_line(event, START).plain
    assert "[not markup]" in story.event_line(event, START).plain


def test_tokens_are_marked_by_the_grammar_of_the_detectors() -> None:
    token = make_token(b"key", "1", "PERSON", "Hanna")
    assert story.TOKEN.fullmatch(token)
    assert story.marked(f"ask {token} now").spans
    assert not story.marked("ask HANNA now").spans
    assert story.TOKEN.pattern.replace("0-9a-hjkmnp-tv-z", "") == TOKEN_RE.pattern.replace(
        "0123456789abcdefghjkmnpqrstvwxyz", ""
    )


def test_a_summary_counts_tokens_money_and_time() -> None:
    task = TaskView(
        id="t",
        tenant="acme",
        state=TaskState.FAILED,
        agent="acme/a",
        requester="person:x",
        session_id="s",
        reason="ModelUnavailable",
        created_at=START,
        updated_at=START + timedelta(milliseconds=430),
        deadline_at=START,
        usage=Usage(input_tokens=5, output_tokens=7, model_calls=2, cost="0.01"),
    )
    assert (
        story.task_summary(task)
        == "Failed · acme/a · 2 model calls · 5+7 tokens · 0.01 USD · 430 ms · ModelUnavailable"
    )


def test_ages_and_cuts() -> None:
    now = START + timedelta(days=3)
    assert [age(now - timedelta(seconds=s), now) for s in (5, 130, 7300, 200_000)] == ["5s", "2m", "2h", "2d"]
    assert age(datetime(2026, 1, 4), now) == "0s"  # noqa: DTZ001 - a naive time counts as UTC
    assert one_line("a\n b " + "c" * 20, 8) == "a b ccc…"


def test_an_empty_listing_is_a_sentence_and_cells_are_no_markup() -> None:
    empty, full = console(), console()
    print_table(empty, ("A",), [], "nothing here")
    print_table(full, ("A",), [("[red]x[/]",)], "nothing here")
    assert printed(empty) == "nothing here\n"
    assert "[red]x[/]" in printed(full)


def test_a_boundary_is_never_claimed_that_is_not_there() -> None:
    assert "not reported" in boundary_text({})
    assert "not isolated" in boundary_text({"network": False, "pid": False})
    mixed = boundary_text({"network": True, "pid": False})
    assert "isolated: network" in mixed
    assert "open: pid" in mixed


def test_status_puts_agents_under_their_nodes() -> None:
    out = console()
    render_status(
        out,
        {
            "phase": "Ready",
            "version": "1",
            "ports": {"public": 1, "guard": 2},
            "processes": [{"name": "postgres", "phase": "Ready", "pid": 9, "restarts": 3}],
            "providers": [{"name": "p", "url": "u", "reachable": False}],
            "nodes": [
                {"key": "acme/acme", "title": "Acme"},
                {"key": "acme/fin", "title": "Finance", "parent": "acme"},
            ],
            "agents": [
                {"key": "acme/f1", "node": "acme/fin", "phase": "Busy", "tasks": {"running": 2}},
                {"key": "acme/lost", "node": "elsewhere", "phase": "Failed", "reason": "GuardRefused"},
            ],
        },
    )
    text = printed(out)
    assert text.index("Finance") < text.index("f1") < text.index("lost")
    for part in ("3 restarts", "not reachable", "2 running", "GuardRefused"):
        assert part in text


def span(identifier: str, parent: str, start: float, end: float, service: str = "guard") -> dict[str, object]:
    times = [(START + timedelta(seconds=s)).isoformat() for s in (start, end)]
    return {
        "spanId": identifier,
        "parentId": parent,
        "name": identifier,
        "service": service,
        "start": times[0],
        "end": times[1],
    }


def test_a_waterfall_nests_children_and_keeps_orphans() -> None:
    spans = [
        span("b", "a", 0.5, 1),
        span("a", "", 0, 2, "controller"),
        span("c", "a", 0.1, 0.2),
        span("x", "gone", 3, 4),
    ]
    assert [(line.depth, line.name) for line in arrange(spans)] == [(0, "a"), (1, "c"), (1, "b"), (0, "x")]
    out = console()
    print_waterfall(out, spans)
    assert "4 spans, 4.0 s, from controller, guard" in printed(out)


def test_spans_that_point_at_each_other_end_nothing() -> None:
    list(arrange([span("a", "b", 0, 1), span("b", "a", 0, 1)]))


def test_a_plan_shows_what_widens_first() -> None:
    out = console()
    render_plan(
        out,
        {
            "agents": [
                {"agent": "a", "change": "Same"},
                {"agent": "b", "change": "Removed"},
                {"agent": "c", "change": "Widened", "diff": ["+ tool x"]},
            ]
        },
    )
    text = printed(out)
    assert text.index("Widened") < text.index("+ tool x") < text.index("Removed")
    assert "2 agents to change, 1 to stay" in text


def test_a_masked_diff_shows_only_what_changed() -> None:
    assert [line.plain for line in masked_diff("a\nb", "a\nX")] == ["  a", "- b", "+ X"]
    assert [line.plain for line in masked_diff("a\nb", "X")] == ["- a", "- b", "+ X"]


def test_echoes_are_left_out_and_a_decision_is_told_once() -> None:
    condenser = story.Condenser()

    def told(kind: str, summary: str) -> bool:
        return condenser.wants(TaskEvent(seq=1, at=START, task_id="t", kind=kind, summary=summary))

    assert not told("Decided", "acp.permission")
    assert told("Decided", "ledger/post: Allowed")
    assert not told("Decided", "ledger/post: Allowed")
    assert told("Decided", "ledger/post: Approved")
    assert told("ToolReturned", "ledger/post: ok")
    assert told("Decided", "ledger/post: Approved")


def narrow() -> Console:
    return Console(file=io.StringIO(), width=70, highlight=False)


def test_an_identifier_stays_whole_however_narrow_the_terminal_is() -> None:
    task = TaskView(
        id="task_01m7ytqz7awxyz0123456789ab",
        tenant="acme",
        requester="person:x",
        session_id="s",
        deadline_at=START,
        state=TaskState.RUNNING,
        agent="acme/marketing-with-a-long-name-1",
        prompt="a prompt of many words that must give way to what people copy",
        created_at=START,
        updated_at=START,
        usage=Usage(cost="0.00012135"),
    )
    out = narrow()
    print_tasks(out, [task], START)
    assert task.id in printed(out)
    approval = ApprovalView(
        id="apr_01m7ytr0123456789abcdefghjk",
        tenant="acme",
        session_id="s",
        state=ApprovalState.PENDING,
        kind=ApprovalKind.TOOL_CALL,
        agent="acme/finance-1",
        tool="acme/ledger/post_entry",
        approvers=("acme/h-keller",),
        requested_at=START,
        expires_at=START,
    )
    out = narrow()
    print_approvals(out, [approval], START)
    assert approval.id in printed(out)
    print_approvals(wide := console(), [approval], START)
    assert "h-keller" in printed(wide)


def test_keys_and_money_are_short_where_people_read() -> None:
    assert short("acme/finance-1") == "finance-1"
    assert short("acme/ledger/post_entry") == "ledger/post_entry"
    assert short("alone") == "alone"
    assert (money("0.00012135"), money("3"), money("0")) == ("0.0001", "3", "0")


def test_a_waterfall_fits_the_terminal() -> None:
    out = Console(file=io.StringIO(), width=100, highlight=False)
    print_waterfall(out, [span("a", "", 0, 2, "cadre-controller"), span("b", "a", 1, 2)])
    assert max(map(len, printed(out).splitlines())) <= 100


def test_what_waits_for_people_is_in_the_status_and_a_suspended_agent_has_no_walls_to_report() -> None:
    out = console()
    agent = {"key": "acme/h1", "phase": "Suspended"}
    render_status(out, {"phase": "Ready", "version": "1", "waitingApprovals": 2, "agents": [agent]})
    assert "approvals that wait: 2" in printed(out)
    assert "boundary" not in printed(out)
