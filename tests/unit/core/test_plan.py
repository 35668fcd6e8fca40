"""What a change to the chart means for each agent."""

import pytest

from cadre_core.plan import Change, plan
from tests.unit.core.build import Docs, company, policy, resource, set_field, snapshot


def change(docs: Docs, before: Docs | None = None, agent: str = "co/fin-1") -> tuple[Change, list[str]]:
    found = {c.agent: c for c in plan(snapshot(before), snapshot(docs))}
    return found[agent].change, list(found[agent].lines)


def test_nothing_changes() -> None:
    assert {c.change for c in plan(snapshot(), snapshot())} == {Change.SAME}


def test_first_chart_and_removal() -> None:
    added = plan(None, snapshot())
    assert [c.change for c in added] == [Change.ADDED, Change.ADDED]
    assert "+ tool co/ledger/post" in added[0].lines
    assert "+ RequireApproval co/controls#large-needs-head" in added[0].lines
    docs = company()
    docs.pop("Agent/fin-1")
    assert change(docs) == (Change.REMOVED, [])
    assert {c.agent: c.change for c in plan(snapshot(docs), snapshot())}["co/fin-1"] is Change.ADDED


READ_ONLY = [{"tool": "read"}]
CASES = [
    ("RoleProfile/finance", "tools.0.allow", READ_ONLY, Change.NARROWED, "- tool co/ledger/post"),
    ("RoleProfile/finance", "instructions", "Other.", Change.CHANGED, "~ instructions"),
    ("RoleProfile/finance", "guard.clearance", ["FINANCIAL"], Change.NARROWED, "- clearance INTERNAL"),
    ("RoleProfile/finance", "guard.clearance", ["INTERNAL", "FINANCIAL", "PII"], Change.WIDENED,
     "+ clearance PII"),
    ("RoleProfile/base", "guard.mode", "Detect", Change.WIDENED, "+ guard mode Mask -> Detect"),
    ("RoleProfile/base", "guard.mode", "Block", Change.NARROWED, "- guard mode Mask -> Block"),
    ("RoleProfile/finance", "guard.entities", [], Change.WIDENED, "+ guard for CREDIT_CARD Block -> Mask"),
    ("Agent/fin-1", "narrow", {"tools": [{"name": "mesh"}]}, Change.NARROWED, "- tool builtin:Mesh/notify"),
    ("Agent/fin-1", "ownerRef", {"name": "fin-head"}, Change.WIDENED, "~ owner co/clerk -> co/fin-head"),
    ("Agent/fin-1", "ownerRef", None, Change.WIDENED, "~ owner co/clerk -> none"),
    ("Agent/fin-1", "lifecycle", "Suspended", Change.NARROWED, "- lifecycle Running -> Suspended"),
    ("Agent/fin-1", "runtime", {"acp": {"command": ["x"]}}, Change.WIDENED,
     "~ runtime_command none -> ('x',)"),
    ("ToolServer/ledger", "tools.0.effects", "Additive", Change.WIDENED,
     "~ tool co/ledger/read is defined differently"),
    ("ToolServer/ledger", "clearance", ["FINANCIAL", "PII"], Change.WIDENED,
     "~ tool co/ledger/post is defined differently"),
    ("Policy/controls", "enforcement", "DryRun", Change.WIDENED,
     "- rule RequireApproval co/controls#large-needs-head"),
    ("Policy/controls", "rules.0.when", "args.amount > 9000.0", Change.WIDENED,
     "~ rule RequireApproval co/controls#large-needs-head is defined differently"),
    ("Policy/controls", "targets", [{"nodeRef": {"name": "marketing"}}], Change.WIDENED,
     "- rule Deny co/controls#no-phi-outside"),
    ("Policy/controls", "targets", [{"nodeRef": {"name": "co"}}], Change.SAME, ""),
    ("Policy/controls", "guard", {"allowList": ["Co"]}, Change.WIDENED, "+ allowed term Co"),
    ("Policy/controls", "guard", {"denyList": ["Orion"]}, Change.NARROWED, "+ denied term Orion"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "path", "value", "expected", "line"), CASES)
def test_directions(key: str, path: str, value: object, expected: Change, line: str) -> None:
    found, lines = change(set_field(company(), key, path, value))
    assert found is expected
    assert line in lines or not line


def test_new_rules_narrow_unless_they_allow() -> None:
    deny = policy(company(), "p", "{effect: Deny, actions: [CallTool]}")
    assert change(deny) == (Change.NARROWED, ["+ rule Deny co/p#r"])
    assert change(company(), deny) == (Change.WIDENED, ["- rule Deny co/p#r"])
    allow = policy(company(), "p", "{effect: Allow, actions: [Egress]}")
    assert change(allow) == (Change.WIDENED, ["+ rule Allow co/p#r"])
    assert change(company(), allow) == (Change.NARROWED, ["- rule Allow co/p#r"])


def test_recognizers() -> None:
    guard = {"recognizers": [{"name": "p", "pattern": "PRJ", "entity": "PROJECT"}]}
    docs = set_field(company(), "Policy/controls", "guard", guard)
    assert change(docs) == (Change.NARROWED, ["+ recognizer p PRJ as PROJECT"])
    guard = {
        "entities": [{"type": "PERSON", "action": "Mask", "thresholdPercent": 60}],
        "languageModel": False,
    }
    lax = set_field(company(), "Policy/controls", "guard", guard)
    assert change(lax) == (
        Change.WIDENED,
        ["+ guard's language model", "+ guard threshold for PERSON 35% -> 60%"],
    )
    back = set_field(company(), "Policy/controls", "guard", {"mode": "Mask"})
    assert change(back, lax)[0] is Change.NARROWED


def test_only_agents_that_are_concerned_change() -> None:
    docs = set_field(company(), "RoleProfile/finance", "hints", ["Other."])
    assert change(docs, agent="co/mkt-1") == (Change.SAME, [])


def test_consent_is_bound_to_rights_and_not_to_words() -> None:
    before = snapshot().agents["co/fin-1"].rights_hash
    words = set_field(company(), "RoleProfile/finance", "instructions", "Other.")
    assert snapshot(words).agents["co/fin-1"].rights_hash == before
    docs = company()
    docs["Person/new"] = resource("Person", "new", "{displayName: New}")
    assert snapshot(docs).agents["co/fin-1"].rights_hash == before
    for key, path, value, expected, _ in CASES:
        changed = snapshot(set_field(company(), key, path, value)).agents["co/fin-1"].rights_hash
        if expected is Change.WIDENED:
            assert changed != before, (key, path)
        elif expected in {Change.SAME, Change.CHANGED}:
            assert changed == before, (key, path)
