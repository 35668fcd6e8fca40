"""Decisions: ceiling, rules, conditions, and what fails closed."""

import dataclasses
import json

import pytest

from cadre_api.protocol.base import Effect
from cadre_core.model import Snapshot
from cadre_core.policy import facts
from cadre_core.policy.decide import (
    TENANT_ADMIN,
    AgentResource,
    Decision,
    HostResource,
    ModelResource,
    NodeResource,
    PolicyRequest,
    Resource,
    ToolResource,
    compile_policies,
    evaluate,
)
from tests.unit.core.build import Docs, company, policy, resource, set_field, snapshot

POST = ToolResource("co/ledger", "post")
LARGE = "co/controls#large-needs-head"


def ask(
    found: Snapshot | Docs | None = None,
    subject: str = "co/fin-1",
    action: str = "CallTool",
    target: Resource = POST,
    **more: object,
) -> Decision:
    chart = found if isinstance(found, Snapshot) else snapshot(found)
    return evaluate(compile_policies(chart), PolicyRequest(subject, "co/finance", action, target, **more))  # type: ignore[arg-type]


def call(amount: object, **more: object) -> Decision:
    return ask(args={"amount": amount, **more})


def test_a_tool_of_the_profile_is_allowed_by_the_profile() -> None:
    decision = call(5)
    assert (decision.allowed, decision.rules, decision.reason) == (True, ("profile:co/finance",), "Allowed")


def test_a_rule_holds_it() -> None:
    decision = call(5000.5)
    assert decision.effect is Effect.REQUIRE_APPROVAL
    assert (decision.rules, decision.reason) == ((LARGE,), "ApprovalRequired")
    ((rule, approval),) = decision.approvals
    assert (rule, approval.role, approval.timeout_seconds) == (LARGE, "Head", 3600)


@pytest.mark.parametrize(
    ("args", "effect", "reason"),
    [
        ({}, "Deny", "SchemaMismatch"),
        ({"amount": "5000"}, "Deny", "SchemaMismatch"),
        ({"amount": None}, "Deny", "SchemaMismatch"),
        ({"amount": True}, "Deny", "SchemaMismatch"),
        ({"amount": [5000]}, "Deny", "SchemaMismatch"),
        ({"amount": -5}, "Deny", "SchemaMismatch"),
        ({"amount": 5, "Amount": 5000}, "Deny", "SchemaMismatch"),
        ({"amount": 5000.5}, "RequireApproval", "ApprovalRequired"),
        ({"amount": 1e30}, "RequireApproval", "ApprovalRequired"),
        ({"amount": 10**30}, "Deny", "NumberOutOfRange"),
        ({"amount": float("nan")}, "Deny", "NumberOutOfRange"),
        ({"amount": json.loads("1e400")}, "Deny", "NumberOutOfRange"),
        ({"amount": float("-inf")}, "Deny", "NumberOutOfRange"),
        ({"amount": 5, "department": "\ud800"}, "Deny", "NotJson"),
        (None, "RequireApproval", "ApprovalRequired"),
    ],
)
def test_no_argument_slips_past_a_condition(args: dict | None, effect: str, reason: str) -> None:
    decision = ask(args=args)
    assert (decision.effect.value, decision.reason) == (effect, reason)
    assert decision.message


def test_a_tool_whose_schema_changed_is_refused() -> None:
    assert ask(args={"amount": 5}, args_schema={"type": "object"}).reason == "SchemaChanged"
    pinned = snapshot().tool_servers["co/ledger"].tools["post"].input_schema
    assert ask(args={"amount": 5}, args_schema=pinned).allowed


@pytest.mark.parametrize(
    ("subject", "action", "target", "reason"),
    [
        ("co/fin-1", "CallTool", ToolResource("co/ledger", "drop"), "UnknownTool"),
        ("co/fin-1", "CallTool", ToolResource("co/other", "post"), "NotInProfile"),
        ("co/mkt-1", "CallTool", POST, "NotInProfile"),
        ("co/fin-1", "CallTool", NodeResource("co/finance"), "BadRequest"),
        ("co/fin-1", "UseModel", POST, "BadRequest"),
        ("co/mkt-1", "UseModel", ModelResource("co/cloud", "big"), "NotInProfile"),
        ("co/fin-1", "Dance", POST, "UnknownAction"),
        ("co/none", "CallTool", POST, "NotInProfile"),
        ("co/none", "RouteTask", AgentResource("co/fin-1"), "UnknownSubject"),
        ("person:co/none", "RouteTask", AgentResource("co/fin-1"), "UnknownSubject"),
        ("person:co/ceo", "CallTool", POST, "NotInProfile"),
        (TENANT_ADMIN, "UseModel", ModelResource("co/cloud", "big"), "NotInProfile"),
        ("person:co/ceo", "RouteTask", AgentResource("co/none"), "UnknownAgent"),
        ("person:co/ceo", "ReadData", NodeResource("co/none"), "UnknownNode"),
        ("person:co/ceo", "ReadData", AgentResource("co/fin-1"), "NotAllowed"),
        ("person:co/ceo", "DecideApproval", AgentResource("co/fin-1"), "NotAllowed"),
        ("person:co/fin-dep", "ExportAudit", AgentResource("co/fin-1"), "NotAllowed"),
        ("person:co/mkt-head", "ReadData", NodeResource("co/finance"), "NotAllowed"),
        ("person:co/mkt-head", "DecideApproval", NodeResource("co/finance"), "NotAllowed"),
        ("person:co/fin-head", "ExportAudit", NodeResource("co/finance"), "NotAllowed"),
        ("person:co/ceo", "WriteState", NodeResource("co/co"), "NotAllowed"),
        ("person:co/ceo", "Egress", HostResource("x.example"), "NotAllowed"),
        (TENANT_ADMIN, "Egress", HostResource("x.example"), "NotAllowed"),
        ("co/fin-1", "Egress", HostResource("x.example"), "NotAllowed"),
        ("co/fin-1", "ReadData", NodeResource("co/marketing"), "NotAllowed"),
        ("co/fin-1", "DecideApproval", NodeResource("co/finance"), "NotAllowed"),
        ("co/fin-1", "RouteTask", NodeResource("co/finance"), "NotAllowed"),
    ],
)
def test_not_allowed_by_the_chart(subject: str, action: str, target: Resource, reason: str) -> None:
    decision = ask(subject=subject, action=action, target=target)
    assert (decision.effect, decision.reason) == (Effect.DENY, reason)
    assert decision.message


@pytest.mark.parametrize(
    ("subject", "action", "target"),
    [
        ("co/fin-1", "UseModel", ModelResource("co/cloud", "big")),
        ("co/mkt-1", "RouteTask", AgentResource("co/fin-1")),
        ("co/mkt-1", "SendMessage", AgentResource("co/fin-1")),
        ("co/mkt-1", "HandOff", AgentResource("co/fin-1")),
        ("co/fin-1", "ReadData", NodeResource("co/finance")),
        ("co/fin-1", "WriteState", NodeResource("co/finance")),
        ("person:co/clerk", "RouteTask", AgentResource("co/mkt-1")),
        ("person:co/clerk", "ReadData", NodeResource("co/finance")),
        ("person:co/ceo", "ReadData", NodeResource("co/finance")),
        ("person:co/fin-dep", "DecideApproval", NodeResource("co/finance")),
        ("person:co/ceo", "DecideApproval", NodeResource("co/finance")),
        ("person:co/fin-dep", "ExportAudit", NodeResource("co/finance")),
        ("person:co/ceo", "ExportAudit", NodeResource("co/finance")),
        (TENANT_ADMIN, "RouteTask", AgentResource("co/fin-1")),
        (TENANT_ADMIN, "ExportAudit", NodeResource("co/co")),
    ],
)
def test_allowed_by_the_chart(subject: str, action: str, target: Resource) -> None:
    decision = ask(subject=subject, action=action, target=target)
    assert decision.allowed, decision


def test_a_person_without_any_role_gives_no_tasks() -> None:
    docs = company()
    docs["Person/stranger"] = resource("Person", "stranger", "{displayName: Sam}")
    decision = ask(docs, "person:co/stranger", "RouteTask", AgentResource("co/fin-1"))
    assert decision.reason == "NotAllowed"


def test_a_suspended_agent_does_nothing() -> None:
    docs = set_field(company(), "Agent/fin-1", "lifecycle", "Suspended")
    assert ask(docs, args={"amount": 5}).reason == "Suspended"


def test_deny_beats_approval_beats_allow() -> None:
    only = "resources: [{toolServerRef: {name: ledger}, tools: [post]}], message: Too much."
    rule = f"{{effect: Deny, actions: [CallTool], when: args.amount > 5000.0, {only}}}"
    docs = policy(company(), "no", rule)
    policy(docs, "yes", "{effect: Allow, actions: [CallTool]}")
    decision = ask(docs, args={"amount": 6000})
    assert (decision.effect, decision.rules, decision.message) == (Effect.DENY, ("co/no#r",), "Too much.")
    assert ask(docs, args={"amount": 2000}).effect is Effect.REQUIRE_APPROVAL
    assert ask(docs, args={"amount": 2}).rules == ("profile:co/finance", "co/yes#r")


def test_every_approval_that_matches_is_asked_for() -> None:
    docs = policy(company(), "also", "{effect: RequireApproval, actions: [CallTool]}", "co")
    assert [rule for rule, _ in ask(docs, args={"amount": 2000}).approvals] == ["co/also#r", LARGE]


def test_no_allow_rule_lifts_the_ceiling_of_tools_and_models() -> None:
    docs = policy(company(), "yes", "{effect: Allow, actions: [CallTool, UseModel]}", "co")
    assert ask(docs, "co/mkt-1", args={"amount": 1}).reason == "NotInProfile"
    decision = ask(docs, "co/mkt-1", "UseModel", ModelResource("co/cloud", "big"))
    assert decision.reason == "NotInProfile"


def test_an_allow_rule_gives_what_the_chart_leaves_open() -> None:
    docs = policy(
        company(), "net", "{effect: Allow, actions: [Egress], resources: [{host: '*.fred.example'}]}"
    )
    allowed = ask(docs, action="Egress", target=HostResource("Api.fred.example."))
    assert allowed.rules == ("co/net#r",)
    for host in ("fred.example", "evilfred.example", "api.fred.example.evil.com"):
        assert not ask(docs, action="Egress", target=HostResource(host)).allowed
    assert not ask(docs, "co/mkt-1", "Egress", HostResource("api.fred.example")).allowed


def test_conditions_on_data_classes_and_locality() -> None:
    phi = frozenset({"PHI"})
    cloud, local = ModelResource("co/cloud", "small", "Cloud"), ModelResource("co/cloud", "small", "Local")
    assert ask(action="UseModel", target=cloud, data_classes=phi).message == "Health data stays in the house."
    assert ask(action="UseModel", target=local, data_classes=phi).allowed
    assert ask(action="UseModel", target=cloud, data_classes=frozenset({"PII"})).allowed
    assert ask(subject="co/mkt-1", action="UseModel", target=cloud, data_classes=phi).allowed


WHO = [
    ("subjects: [{nodeRef: {name: ops}}]", True, False),
    ("subjects: [{nodeRef: {name: ops}, scope: Node}]", False, False),
    ("subjects: [{nodeRef: {name: finance}, scope: Node}]", True, False),
    ("subjects: [{agentRef: {name: mkt-1}}]", False, True),
    ("subjects: [{profileRef: {name: base}}]", True, True),
    ("subjects: [{profileRef: {name: marketing}}]", False, True),
    ("subjects: [{personRef: {name: ceo}}]", False, False),
    ("message: everyone of the target", True, False),
]


@pytest.mark.parametrize(("who", "finance", "marketing"), WHO)
def test_whom_a_rule_means(who: str, finance: bool, marketing: bool) -> None:
    chart = snapshot(policy(company(), "p", f"{{effect: Deny, actions: [RouteTask], {who}}}"))
    target = AgentResource("co/fin-1")
    denied = [not ask(chart, agent, "RouteTask", target).allowed for agent in ("co/fin-1", "co/mkt-1")]
    assert denied == [finance, marketing]


def test_an_allow_for_a_role_is_not_inherited_by_other_roles() -> None:
    rule = "{effect: Allow, actions: [Egress], subjects: [{profileRef: {name: base}}]}"
    assert not ask(policy(company(), "p", rule), action="Egress", target=HostResource("x.example")).allowed
    rule = "{effect: Allow, actions: [Egress], subjects: [{profileRef: {name: finance}}]}"
    assert ask(policy(company(), "p", rule), action="Egress", target=HostResource("x.example")).allowed


def test_rules_about_people() -> None:
    rule = "{effect: Deny, actions: [RouteTask], subjects: [{personRef: {name: clerk}}]}"
    chart = snapshot(policy(company(), "p", rule))
    assert not ask(chart, "person:co/clerk", "RouteTask", AgentResource("co/fin-1")).allowed
    assert ask(chart, "person:co/ceo", "RouteTask", AgentResource("co/fin-1")).allowed


WHAT = [
    ("{toolServerRef: {name: ledger}}", "CallTool", POST, True),
    ("{toolServerRef: {name: ledger}, tools: [read]}", "CallTool", POST, False),
    ("{builtin: Mesh}", "CallTool", ToolResource("builtin:Mesh", "notify"), True),
    ("{builtin: Mesh}", "CallTool", POST, False),
    ("{providerRef: {name: cloud}}", "UseModel", ModelResource("co/cloud", "big"), True),
    ("{providerRef: {name: cloud}, models: [small]}", "UseModel", ModelResource("co/cloud", "big"), False),
    ("{locality: Local}", "UseModel", ModelResource("co/cloud", "big", "Local"), True),
    ("{locality: Local}", "UseModel", ModelResource("co/cloud", "big", "Cloud"), False),
    ("{nodeRef: {name: co}}", "RouteTask", AgentResource("co/mkt-1"), True),
    ("{nodeRef: {name: co}, scope: Node}", "RouteTask", AgentResource("co/mkt-1"), False),
    ("{agentRef: {name: mkt-1}}", "RouteTask", AgentResource("co/mkt-1"), True),
    ("{agentRef: {name: fin-1}}", "RouteTask", AgentResource("co/mkt-1"), False),
    ("{nodeRef: {name: finance}, scope: Node}", "ReadData", NodeResource("co/finance"), True),
    ("{nodeRef: {name: ops}, scope: Node}", "ReadData", NodeResource("co/finance"), False),
    ("{locality: Local}, {providerRef: {name: cloud}}", "UseModel", ModelResource("co/cloud", "big"), True),
]


@pytest.mark.parametrize(("what", "action", "target", "denied"), WHAT)
def test_what_a_rule_means(what: str, action: str, target: Resource, denied: bool) -> None:
    chart = snapshot(policy(company(), "p", f"{{effect: Deny, actions: [{action}], resources: [{what}]}}"))
    decision = ask(chart, action=action, target=target)
    assert (decision.rules == ("co/p#r",)) is denied


def test_a_condition_that_errors_denies_and_holds_but_never_allows() -> None:
    error = "int(task.id) > 3"
    deny = policy(company(), "p", f"{{effect: Deny, actions: [RouteTask], when: '{error}'}}")
    hold = policy(company(), "p", f"{{effect: RequireApproval, actions: [RouteTask], when: '{error}'}}")
    allow = policy(company(), "p", f"{{effect: Allow, actions: [Egress], when: '{error}'}}")
    for task in ({}, {"task": {"id": "abc"}}, {"task": {"id": None}}, {"task": 5}):
        target = AgentResource("co/mkt-1")
        assert ask(deny, action="RouteTask", target=target, context=task).reason == "ConditionError"
        held = ask(hold, action="RouteTask", target=target, context=task)
        assert held.effect is Effect.REQUIRE_APPROVAL
        assert not ask(allow, action="Egress", target=HostResource("x.example"), context=task).allowed
    fine = {"task": {"id": "2"}}
    assert ask(deny, action="RouteTask", target=AgentResource("co/mkt-1"), context=fine).allowed


def test_a_condition_that_never_parsed_or_is_no_boolean_counts_as_met() -> None:
    chart = snapshot()
    for when in ("not ( cel", "args.amount"):
        rules = tuple(dataclasses.replace(rule, when=when) for rule in chart.rules)
        broken = dataclasses.replace(chart, rules=rules)
        assert ask(broken, args={"amount": 5}).effect is Effect.REQUIRE_APPROVAL


def test_a_panic_below_python_counts_as_met(monkeypatch: pytest.MonkeyPatch) -> None:
    class Panic(BaseException):
        pass

    class Broken:
        def __init__(self, error: type[BaseException]) -> None:
            self._error = error

        def execute(self, context: object) -> bool:
            raise self._error

    program = compile_policies(snapshot())
    request = PolicyRequest("co/fin-1", "", "CallTool", POST, {"amount": 5})
    conditions = dict.fromkeys(program.conditions, Broken(Panic))
    broken = dataclasses.replace(program, conditions=conditions)
    assert evaluate(broken, request).effect is Effect.REQUIRE_APPROVAL
    stopped = dataclasses.replace(program, conditions=dict.fromkeys(conditions, Broken(KeyboardInterrupt)))
    with pytest.raises(KeyboardInterrupt):
        evaluate(stopped, request)


def test_variables_that_cannot_be_read_count_as_met(monkeypatch: pytest.MonkeyPatch) -> None:
    program = compile_policies(snapshot())

    def fails(*_: object) -> dict[str, object]:
        raise ValueError

    monkeypatch.setattr(facts, "_variables", fails)
    request = PolicyRequest("co/fin-1", "", "CallTool", POST, {"amount": 5})
    assert evaluate(program, request).effect is Effect.REQUIRE_APPROVAL


def test_an_error_of_cedar_or_of_ours_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    program = compile_policies(snapshot())
    request = PolicyRequest("co/fin-1", "", "CallTool", POST, {"amount": 5})
    monkeypatch.setattr("cadre_core.policy.decide.outcomes", lambda *_: {})
    missing = evaluate(program, request)
    assert (missing.effect, missing.reason) == (Effect.DENY, "PolicyError")
    assert LARGE in missing.message

    def fails(*_: object) -> dict[str, facts.Outcome]:
        raise MemoryError

    monkeypatch.setattr("cadre_core.policy.decide.outcomes", fails)
    assert evaluate(program, request).message.endswith("MemoryError")


def test_rules_on_trial_are_reported_and_have_no_effect() -> None:
    docs = policy(company(), "try", "{effect: Deny, actions: [CallTool]}", enforcement="DryRun")
    decision = ask(docs, args={"amount": 5})
    assert (decision.allowed, decision.dry_run) == (True, ("co/try#r",))
    assert ask(docs, args={"amount": 5000}).dry_run == ("co/try#r",)


def test_many_rules_are_all_counted() -> None:
    docs = company()
    rule = {"effect": "Deny", "actions": ["RouteTask"], "subjects": [{"agentRef": {"name": "fin-1"}}]}
    for part in range(5):
        rules = [{**rule, "name": f"r{part}-{i}"} for i in range(50)]
        spec = {"targets": [{"nodeRef": {"name": "co"}}], "rules": rules}
        docs[f"Policy/p{part}"] = resource("Policy", f"p{part}", spec)
    chart = snapshot(docs)
    assert len(ask(chart, action="RouteTask", target=AgentResource("co/mkt-1")).rules) == 250
    assert ask(chart, "co/mkt-1", "RouteTask", AgentResource("co/fin-1")).allowed
