"""The Acme example holds together: chart, ledger, story and planted values speak of the same things."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cadre_scripted.answer import build_answer
from cadre_scripted.conversation import CalledTool, Conversation, Message
from cadre_scripted.matching import find_rule
from cadre_scripted.scenario import Scenario, load_scenario
from tests.support.scripted import ACME, ACME_SCENARIO

TAIL = "0abcdefghjkmnpqrs"
FINANCE_TOOLS = ("gw__ledger_read_budget", "gw__ledger_post_entry", "gw__ledger_wire_transfer")
MESH_TOOLS = ("gw__mesh_send_task", "gw__mesh_fetch_status")
BUDGET_REQUEST = (
    f"Please get us the budget for the campaign: 18000 EUR, project PROJECTx{TAIL}. The agency's contact is "
    f"PERSONx{TAIL}, EMAILx{TAIL}, PHONEx{TAIL}; the agency is paid to IBANx{TAIL}. The card is CARDx{TAIL}."
)
FIGURES = {
    "free": 5,
    "account": f"IBANx{TAIL}",
    "contact": {"name": f"PERSONx{TAIL}", "email": f"EMAILx{TAIL}", "phone": f"PHONEx{TAIL}"},
}
POSTED = FIGURES | {"entry": "LE-00001", "amount": 18000}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(ACME_SCENARIO)


def documents(name: str) -> Iterator[dict[str, object]]:
    yield from yaml.safe_load_all((ACME / name).read_text())


class Talk:
    """A conversation that grows as an agent's would."""

    def __init__(self, scenario: Scenario, role: str, tools: tuple[str, ...], prompt: str) -> None:
        self.scenario, self.tools, self.ids = scenario, tools, 0
        self.messages = [Message("system", f"You are the {role} assistant."), Message("user", prompt)]

    def next(self) -> tuple[str, str, dict[str, object]]:
        """Rule, text and arguments of the next answer."""
        asked = Conversation("scripted", True, tuple(self.messages), self.tools)
        match = find_rule(self.scenario, asked, {})
        assert match is not None, self.messages[-1]
        answer = build_answer(match, asked, lambda prefix: prefix)
        calls = tuple(CalledTool(call.id, call.name) for call in answer.calls)
        self.messages.append(Message("assistant", answer.text, calls=calls))
        arguments = json.loads(answer.calls[0].arguments) if answer.calls else {}
        return match.rule.name, answer.text, arguments

    def result(self, tool: str, value: object) -> None:
        """The tool's result arrives."""
        text = value if isinstance(value, str) else json.dumps(value)
        self.messages.append(Message("tool", text, tool))


def test_finance_posts_what_marketing_asked_for(scenario: Scenario) -> None:
    marketing = Talk(scenario, "marketing", MESH_TOOLS, BUDGET_REQUEST)
    _, _, sent = marketing.next()
    assert sent["targetRole"] == "finance"
    finance = Talk(scenario, "finance", FINANCE_TOOLS, str(sent["task"]))
    assert finance.next()[2] == {"department": "marketing"}
    finance.result("gw__ledger_read_budget", FIGURES)
    _, _, posting = finance.next()
    assert (posting["amount"], posting["iban"]) == (18000, f"IBANx{TAIL}")
    finance.result("gw__ledger_post_entry", POSTED)
    rule, answer, _ = finance.next()
    assert rule == "finance-answers"
    marketing.result("gw__mesh_send_task", {"taskId": "t-1"})
    assert marketing.next()[2] == {"taskId": "t-1", "waitSeconds": 20}
    marketing.result("gw__mesh_fetch_status", {"state": "Waiting"})
    assert marketing.next()[2] == {"taskId": "t-1", "waitSeconds": 20}
    marketing.result("gw__mesh_fetch_status", {"state": "Succeeded", "result": answer})
    rule, report, _ = marketing.next()
    assert rule == "marketing-reports-the-approval"
    assert "18000 EUR" in report
    assert f"IBANx{TAIL}" in report


@pytest.mark.parametrize(
    ("result", "rule"),
    [
        ("The user has declined to run this tool.", "finance-was-refused"),
        ({"error": "18000.00 EUR is more than marketing has left"}, "finance-found-too-little"),
    ],
)
def test_finance_and_marketing_tell_a_refusal(scenario: Scenario, result: object, rule: str) -> None:
    finance = Talk(scenario, "finance", FINANCE_TOOLS, BUDGET_REQUEST + " For marketing.")
    finance.next()
    finance.result("gw__ledger_read_budget", FIGURES)
    finance.next()
    finance.result("gw__ledger_post_entry", result)
    name, answer, _ = finance.next()
    assert name == rule
    marketing = Talk(scenario, "marketing", MESH_TOOLS, BUDGET_REQUEST)
    marketing.next()
    marketing.result("gw__mesh_send_task", {"taskId": "t-1"})
    marketing.next()
    marketing.result("gw__mesh_fetch_status", {"state": "Succeeded", "result": answer})
    assert marketing.next()[0] == "marketing-reports-the-refusal"


def test_finance_wires(scenario: Scenario) -> None:
    prompt = f"Please pay the deposit by wire transfer: 4200 EUR to PERSONx{TAIL}, account IBANx{TAIL}."
    finance = Talk(scenario, "finance", FINANCE_TOOLS, prompt)
    assert finance.next()[2]["amount"] == 4200
    finance.result("gw__ledger_wire_transfer", {"transfer": "WT-00001", "confirmed": True})
    assert "WT-00001" in finance.next()[1]


def test_tools_of_the_scenario_exist_in_the_chart(scenario: Scenario) -> None:
    pinned = {tool["name"] for server in documents("tools.yaml") for tool in server["spec"]["tools"]}
    called = {call.name for rule in scenario.rules for call in rule.reply.tool_calls}
    assert {f"gw__ledger_{name}" for name in pinned} == {name for name in called if "ledger" in name}


def test_planted_values_are_in_the_request_and_in_the_ledger() -> None:
    seeded = yaml.safe_load((ACME / "story" / "seeded.yaml").read_text())
    story = yaml.safe_load((ACME / "story" / "request.yaml").read_text())
    for values in seeded["prompt"].values():
        assert all(value in story["campaign"]["prompt"] for value in values)
    ledger = (ACME / "ledger.py").read_text()
    for values in seeded["toolResult"].values():
        assert all(value in ledger for value in values)


def test_chart_is_valid_and_complete() -> None:
    kinds: dict[str, int] = {}
    for file in sorted(path for path in Path(ACME).glob("*.yaml") if path.name != "kustomization.yaml"):
        for document in documents(file.name):
            kinds[str(document["kind"])] = kinds.get(str(document["kind"]), 0) + 1
    assert kinds == {
        "Workflow": 1,
        "OrgNode": 13,
        "Person": 14,
        "RoleProfile": 9,
        "Agent": 6,
        "Policy": 5,
        "ModelProvider": 2,
        "ToolServer": 1,
    }
