"""The scenario language: what matches, what is filled in, what is refused."""

from pathlib import Path

import pytest
import yaml

from cadre_scripted.answer import FillError, fill_json, fill_text
from cadre_scripted.conversation import CalledTool, Conversation, Message
from cadre_scripted.main import main
from cadre_scripted.matching import find_rule
from cadre_scripted.reading import ScenarioError
from cadre_scripted.scenario import parse_scenario
from tests.support.scripted import ACME_SCENARIO, scripted

TALK = Conversation(
    model="m",
    stream=True,
    messages=(
        Message("system", "You are the FINANCE assistant."),
        Message("user", "Check 18000 EUR for PERSONx0abc"),
        Message("assistant", "", calls=(CalledTool("1", "read"),)),
        Message("tool", '{"free": 5, "who": "PERSONx0def"}', "read"),
        Message("user", " "),
    ),
    tools=("read", "post"),
)


def matched(when: str, talk: Conversation = TALK) -> dict[str, str] | None:
    rule = {"name": "r", "when": yaml.safe_load(when), "reply": {"text": "x"}}
    found = find_rule(parse_scenario({"format": "cadre-scripted/1", "rules": [rule]}), talk, {})
    return dict(found.captured) if found else None


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("{}", True),
        ("{system: finance assistant}", True),
        ("{system: marketing}", False),
        ("{user: [18000, check]}".replace("18000", "'18000'"), True),
        ("{user: [check, nothing]}", False),
        ("{anyMessage: free}", True),
        ("{toolResult: free, toolResultOf: read}", True),
        ("{toolResultOf: post}", False),
        ("{lastRole: tool}", False),
        ("{offers: [post], lacks: [wire]}", True),
        ("{lacks: [post]}", False),
        ("{called: [read], notCalled: [post]}", True),
        ("{notCalled: [read]}", False),
        ("{turn: 2, stream: true, model: m}", True),
        ("{turn: 1}", False),
        ("{stream: false}", False),
        ("{model: other}", False),
        ("{capture: {x: nowhere}}", False),
    ],
)
def test_when(when: str, holds: bool) -> None:
    assert (matched(when) is not None) is holds


def test_capture_takes_the_newest_and_respects_its_source() -> None:
    found = matched("{capture: {any: 'PERSONx\\w+', first: {pattern: '(PERSON\\w+)', from: user}}}")
    assert found is not None
    assert (found["any"], found["first"]) == ("PERSONx0def", "PERSONx0abc")
    assert (found["user"], found["turn"]) == ("Check 18000 EUR for PERSONx0abc", "2")


def test_results_before_the_last_answer_are_old() -> None:
    answered = Conversation(
        "m", True, (*TALK.messages, Message("assistant", "done"), Message("user", "more"))
    )
    assert matched("{toolResult: free}", answered) is None


def test_fill() -> None:
    values = {"n": "18,000.5", "who": "PERSONx0abc", "list": "[1]"}
    template = {"amount": "{{n|number}}", "memo": ["for {{ who }}"], "k": "{{list|json}}", "flag": True}
    assert fill_json(template, values) == {
        "amount": 18000.5,
        "memo": ["for PERSONx0abc"],
        "k": [1],
        "flag": True,
    }
    with pytest.raises(FillError, match="not captured; known: list, n, who"):
        fill_text("{{nobody}}", values)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("[]", "file: expected a mapping"),
        ("{format: other/1}", "format: this program plays"),
        ("{format: cadre-scripted/1}", "rules: write at least one rule"),
        ("{format: cadre-scripted/1, rule: []}", "rule: unknown key; did you mean 'rules'?"),
        ("{format: cadre-scripted/1, rules: [{name: a}]}", r"rules\[0\].reply: missing"),
        ("{format: cadre-scripted/1, rules: [{reply: {text: x}}]}", r"rules\[0\].name: missing"),
        ("{format: cadre-scripted/1, rules: [{name: a, reply: {}}]}", "write text, toolCalls or fault"),
        (
            "{format: cadre-scripted/1, rules: [{name: a, reply: {text: x}}, {name: a, reply: {text: y}}]}",
            "two rules are named 'a'",
        ),
        ("{format: cadre-scripted/1, rules: {a: b}}", "rules: expected a list"),
        (
            "{format: cadre-scripted/1, rules: [{name: a, when: {usr: b}, reply: {text: x}}]}",
            r"rules\[0\].when.usr: unknown key; did you mean 'user'",
        ),
        (
            "{format: cadre-scripted/1, rules: [{name: a, when: {user: 5}, reply: {text: x}}]}",
            "when.user: expected text or a list",
        ),
        (
            "{format: cadre-scripted/1, rules: [{name: a, when: {turn: -1}, reply: {text: x}}]}",
            "turn: expected an integer of 0 or more",
        ),
        (
            "{format: cadre-scripted/1, rules: [{name: a, when: {capture: {x: '('}}, reply: {text: x}}]}",
            "is not a regular expression",
        ),
        (
            (
                "{format: cadre-scripted/1, rules: [{name: a, reply: {text: x},"
                " when: {capture: {x: {pattern: a, from: b}}}}]}"
            ),
            "x.from: expected one of",
        ),
        (
            "{format: cadre-scripted/1, rules: [{name: a, reply: {text: x, think: soon}}]}",
            "think: expected a duration",
        ),
    ],
)
def test_a_bad_scenario_is_refused_with_place_and_fix(document: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        parse_scenario(yaml.safe_load(document))


def test_check_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(ACME_SCENARIO)]) == 0
    assert "ok" in capsys.readouterr().out
    bad = tmp_path / "bad.yaml"
    bad.write_text("format: [")
    assert main(["check", str(bad)]) == 1
    assert str(bad) in capsys.readouterr().err
    assert main(["serve", "--scenario", str(tmp_path / "none.yaml")]) == 1


def test_wrong_address_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "--scenario", str(ACME_SCENARIO), "--listen", "nowhere"])
    assert "is not HOST:PORT" in capsys.readouterr().err


def test_a_taken_port_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--scenario", str(ACME_SCENARIO), "--listen", f"127.0.0.1:{port}"]) == 3
    assert "choose another --listen" in capsys.readouterr().err


def test_a_process_serves_and_ends_on_sigterm(tmp_path: Path) -> None:
    record = tmp_path / "requests.jsonl"
    with scripted(ACME_SCENARIO, record=record) as server:
        assert server.requests() == []
    assert record.read_text() == ""
