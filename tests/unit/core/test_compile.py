"""From resources to a snapshot: what a sound chart means, and every way in which a chart can be unsound."""

from decimal import Decimal

import pytest

from tests.unit.core.build import Docs, company, policy, problems, reasons, resource, set_field, snapshot


def test_the_tree() -> None:
    found = snapshot()
    assert (found.tenant, found.root) == ("co", "co/co")
    assert found.nodes["co/finance"].path == ("co/co", "co/ops", "co/finance")
    assert [m.person for m in found.nodes["co/finance"].members] == ["co/clerk", "co/fin-dep", "co/fin-head"]
    assert found.nodes["co/co"].budget is not None
    assert found.nodes["co/co"].budget.amount == Decimal("100.00")
    assert found.nodes["co/ops"].budget is None
    assert found.nodes["co/finance"].locale == {"languages": ("en", "de"), "timeZone": "UTC"}


def test_locale_is_inherited_field_by_field() -> None:
    docs = set_field(company(), "OrgNode/ops", "locale", {"timeZone": "Europe/Berlin", "dataResidency": "eu"})
    found = snapshot(docs).agents["co/fin-1"].locale
    assert found == {"languages": ("en", "de"), "timeZone": "Europe/Berlin", "dataResidency": "eu"}


def test_an_agent_gets_what_its_profile_inherits() -> None:
    agent = snapshot().agents["co/fin-1"]
    assert agent.profile_lineage == ("co/finance", "co/base")
    assert agent.instructions == "Be careful."
    assert agent.hints == ("Be brief.", "Year starts in July.")
    assert agent.skills == {"writing": ("text",), "budgets": ("money",)}
    assert agent.recipes["close"].parameters["month"]["required"] is True
    assert [t.name for t in agent.tools] == [
        "ledger_post",
        "ledger_read",
        "mesh_fetch_status",
        "mesh_notify",
        "mesh_request_approval",
        "mesh_send_task",
    ]
    post = agent.tools[0]
    assert (post.server, post.tool, post.effects, post.idempotent) == (
        "co/ledger",
        "post",
        "Destructive",
        False,
    )
    assert post.clearance == {"FINANCIAL"}
    assert [(c.provider, c.model) for c in agent.models["plan"]] == [("co/cloud", "big")]
    assert [(c.provider, c.model) for c in agent.models["work"]] == [
        ("co/cloud", "small"),
        ("co/house", "qwen"),
    ]
    assert agent.models["summarize"] == agent.models["work"]
    assert (agent.owner, agent.concurrency, agent.lifecycle) == ("co/clerk", 2, "Running")
    assert (agent.needs_consent, agent.consent) == (True, "Head")


def test_consent_never_needs_none() -> None:
    assert snapshot().agents["co/mkt-1"].needs_consent is False


def test_providers_and_servers_as_the_gateways_need_them() -> None:
    found = snapshot()
    cloud, house = found.providers["co/cloud"], found.providers["co/house"]
    assert (cloud.dialect, cloud.base_url, cloud.timeout_seconds) == (
        "openai",
        "https://models.example/v1",
        30,
    )
    assert cloud.credential == {"secret": "k", "key": "apiKey"}
    assert cloud.models["big"]["price"] == {
        "currency": "USD",
        "inputPerMillion": "2.00",
        "outputPerMillion": "8.00",
    }
    assert (house.dialect, house.credential, house.requests_per_minute) == ("ollama", {}, 0)
    ledger = found.tool_servers["co/ledger"]
    assert (ledger.command, ledger.env, ledger.secret_env) == (
        ("ledger",),
        {"A": "1"},
        {"B": {"secret": "s", "key": "k"}},
    )


def test_http_servers_and_vault_credentials() -> None:
    docs = company()
    spec = docs["ToolServer/ledger"]["spec"]
    del spec["stdio"]
    spec |= {
        "http": {"url": "https://l.example/mcp"},
        "credentialsRef": {"vault": {"path": "p", "field": "f"}},
    }
    found = snapshot(docs).tool_servers["co/ledger"]
    assert (found.url, found.credential) == ("https://l.example/mcp", {"vault": "p", "field": "f"})


def test_other_agents_run_by_their_command() -> None:
    docs = set_field(company(), "Agent/fin-1", "runtime", {"acp": {"command": ["my-agent", "--acp"]}})
    assert snapshot(docs).agents["co/fin-1"].runtime_command == ("my-agent", "--acp")


def test_goose_extensions_are_tools_of_the_sealed_container() -> None:
    entry = {"name": "dev", "gooseExtension": "developer", "allow": [{"tool": "write"}, {"tool": "edit"}]}
    docs = set_field(company(), "RoleProfile/marketing", "tools", [entry])
    docs = set_field(docs, "Agent/mkt-1", "narrow", {"tools": [{"name": "dev", "deny": [{"tool": "edit"}]}]})
    agent = snapshot(docs).agents["co/mkt-1"]
    assert agent.goose_extensions == {"developer": ("write",)}
    assert ("goose:developer", "write") in {(t.server, t.tool) for t in agent.tools}


def test_narrow_takes_away() -> None:
    narrow = {
        "tools": [{"name": "ledger", "deny": [{"tool": "post"}]}, {"name": "mesh"}],
        "models": [{"providerRef": {"name": "cloud"}, "model": "small"}],
    }
    agent = snapshot(set_field(company(), "Agent/fin-1", "narrow", narrow)).agents["co/fin-1"]
    assert [t.name for t in agent.tools] == ["ledger_read"]
    assert [c.model for c in agent.models["work"]] == ["qwen"]


def test_diamond_inheritance_puts_the_shared_profile_last() -> None:
    docs = company()
    docs["RoleProfile/b"] = resource(
        "RoleProfile", "b", "{inherits: [{name: base}], title: B, instructions: B says.}"
    )
    set_field(docs, "RoleProfile/finance", "inherits", [{"name": "marketing"}, {"name": "b"}])
    agent = snapshot(docs).agents["co/fin-1"]
    assert agent.profile_lineage == ("co/finance", "co/marketing", "co/b", "co/base")
    assert agent.instructions == "B says."


def test_tools_of_one_entry_are_united_over_the_lineage() -> None:
    entry = {"name": "ledger", "toolServerRef": {"name": "ledger"}, "allow": [{"tool": "read"}]}
    docs = set_field(company(), "RoleProfile/base", "tools", [entry])
    own = [{**entry, "allow": [{"tool": "post"}]}]
    names = [
        t.name
        for t in snapshot(set_field(docs, "RoleProfile/finance", "tools", own)).agents["co/fin-1"].tools
    ]
    assert names == ["ledger_post", "ledger_read"]
    own = [{"name": "ledger", "toolServerRef": {"name": "ledger"}}]
    docs = set_field(docs, "RoleProfile/finance", "tools", own)
    assert len(snapshot(docs).agents["co/fin-1"].tools) == 2


def test_the_view_for_the_directory() -> None:
    view = snapshot().profiles["co/finance"]
    assert view["lineage"] == ("co/finance", "co/base")
    assert view["tools"]["ledger"] == {"source": "co/ledger", "allow": ["post", "read"]}  # type: ignore[index]


def test_retention_is_the_shortest_on_the_path_and_audit_belongs_to_the_root() -> None:
    docs = company()
    docs["Policy/keep"] = resource(
        "Policy",
        "keep",
        "{targets: [{nodeRef: {name: co}}], retention: {transcriptDays: 60, auditDays: 400}}",
    )
    docs["Policy/short"] = resource(
        "Policy", "short", "{targets: [{nodeRef: {name: finance}}], retention: {transcriptDays: 7}}"
    )
    found = snapshot(docs)
    assert found.retention == {"transcriptDays": 60, "artifactDays": 30, "auditDays": 400}
    assert found.agents["co/fin-1"].retention == {"transcriptDays": 7, "artifactDays": 30}


def test_policy_ids_and_default_approval() -> None:
    docs = policy(company(), "p", "{effect: RequireApproval, actions: [CallTool]}")
    rules = {rule.id: rule for rule in snapshot(docs).rules}
    assert sorted(rules) == ["co/controls#large-needs-head", "co/controls#no-phi-outside", "co/p#r"]
    approval = rules["co/p#r"].approval
    assert approval is not None
    assert (approval.role, approval.quorum, approval.timeout_seconds) == ("Head", 1, 28800)
    assert rules["co/controls#large-needs-head"].approval.timeout_seconds == 3600  # type: ignore[union-attr]


def guest(docs: Docs, grant: list[str]) -> Docs:
    """Hang a node and an agent of another namespace under operations."""
    docs["OrgNode/eu"] = resource(
        "OrgNode", "eu", "{type: Team, title: EU, parentRef: {name: ops, namespace: co}}", "eu"
    )
    docs["Agent/eu-1"] = resource(
        "Agent",
        "eu-1",
        "{nodeRef: {name: eu}, profileRef: {name: finance, namespace: co}, purpose: x}",
        "eu",
    )
    if grant:
        grants = [{"name": "eu", "kinds": grant, "namespaces": ["eu"]}]
        set_field(docs, "OrgNode/ops", "grants", grants)
    return docs


def test_a_guest_namespace_needs_a_grant() -> None:
    found = snapshot(guest(company(), ["OrgNode"]))
    assert found.agents["eu/eu-1"].path == ("co/co", "co/ops", "eu/eu")
    assert ("OrgNode eu/eu", "spec.parentRef.namespace", "NotGranted") in reasons(guest(company(), []))
    assert ("OrgNode eu/eu", "spec.parentRef", "NotGranted") in reasons(guest(company(), ["Agent"]))


def test_a_guest_of_a_host_out_of_sight_learns_what_would_let_it_in() -> None:
    docs = set_field(company(), "OrgNode/ops", "parentRef", {"name": "north", "namespace": "north"})
    [found] = [
        p for p in problems(docs) if p.resource == "OrgNode co/ops" and p.reason == "DanglingReference"
    ]
    assert found.message == "there is no OrgNode north/north in sight of namespace co"
    assert "has to name co in its spec.grants" in found.fix


def test_a_guest_agent_needs_a_grant_for_agents() -> None:
    docs = guest(company(), ["OrgNode"])
    set_field(docs, "Agent/eu-1", "nodeRef", {"name": "ops", "namespace": "co"})
    assert ("Agent eu/eu-1", "spec.nodeRef", "NotGranted") in reasons(docs)


def test_a_guest_may_govern_itself_but_not_its_host() -> None:
    rule = {"name": "r", "effect": "Deny", "actions": ["CallTool"]}
    docs = guest(company(), ["OrgNode"])
    own = {"targets": [{"nodeRef": {"name": "eu"}}], "rules": [rule]}
    docs["Policy/own"] = resource("Policy", "own", own, "eu")
    assert "co/eu.own#r" in {r.id for r in snapshot(docs).rules}
    host = {"targets": [{"nodeRef": {"name": "finance", "namespace": "co"}}], "rules": [rule]}
    docs["Policy/host"] = resource("Policy", "host", host, "eu")
    assert reasons(docs) == [("Policy eu/host", "spec.targets[0].nodeRef", "NotGranted")]


NONE = "DanglingReference"
UNSOUND = [
    ("OrgNode/co", "parentRef", {"name": "finance"}, [("OrgNode", "NoRoot"), ("OrgNode co/co", "Cycle")]),
    ("OrgNode/ops", "parentRef", None, [("OrgNode co/ops", "MultipleRoots")]),
    ("OrgNode/ops", "parentRef", {"name": "finance"}, [("OrgNode co/finance", "Cycle")]),
    ("OrgNode/ops", "parentRef", {"name": "cop"}, [("OrgNode co/ops", NONE)]),
    ("OrgNode/co", "members", [{"personRef": {"name": "x"}, "roles": ["Head"]}],
     [("OrgNode co/co", NONE)]),
    ("OrgNode/finance", "profileRef", {"name": "financ"}, [("OrgNode co/finance", NONE)]),
    ("OrgNode/finance", "profileRef", None, [("Agent co/fin-1", "NoProfile")]),
    ("OrgNode/finance", "agents", {"max": 0}, [("OrgNode co/finance", "QuotaExceeded")]),
    ("OrgNode/co", "agents", {"max": 1}, [("OrgNode co/co", "QuotaExceeded")]),
    ("OrgNode/co", "agents", {"allowedProfiles": []},
     [("Agent co/fin-1", "ProfileNotAllowed"), ("Agent co/mkt-1", "ProfileNotAllowed")]),
    ("Agent/fin-1", "nodeRef", {"name": "finans"}, [("Agent co/fin-1", NONE)]),
    ("Agent/fin-1", "profileRef", {"name": "none"}, [("Agent co/fin-1", NONE)]),
    ("Agent/fin-1", "ownerRef", {"name": "none"}, [("Agent co/fin-1", NONE)]),
    ("Agent/fin-1", "narrow", {"tools": [{"name": "ledgr"}]}, [("Agent co/fin-1", "UnknownTool")]),
    ("Agent/fin-1", "narrow", {"models": [{"providerRef": {"name": "x"}}]},
     [("Agent co/fin-1", NONE)]),
    ("Agent/fin-1", "narrow",
     {"models": [{"providerRef": {"name": "cloud"}}, {"providerRef": {"name": "house"}}]},
     [("Agent co/fin-1", "NoModel")]),
    ("Person/ceo", "absences",
     [{"name": "w", "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z",
       "delegateRef": {"name": "x"}}],
     [("Person co/ceo", NONE)]),
    ("RoleProfile/base", "inherits", [{"name": "finance"}], [("RoleProfile co/base", "Cycle")]),
    ("RoleProfile/finance", "inherits", [{"name": "bas"}], [("RoleProfile co/finance", NONE)]),
    ("RoleProfile/finance", "tools.0.allow", [{"tool": "posst"}],
     [("RoleProfile co/finance", "UnknownTool")]),
    ("RoleProfile/finance", "tools.0.toolServerRef", {"name": "x"},
     [("RoleProfile co/finance", NONE)]),
    ("RoleProfile/finance", "tools.0.name", "mesh", [("RoleProfile co/base", "ConflictingTool")]),
    ("RoleProfile/marketing", "tools", [{"name": "g", "builtin": "Memory"}],
     [("RoleProfile co/marketing", "NotAvailable")]),
    ("RoleProfile/marketing", "tools", [{"name": "m" * 60, "builtin": "Mesh"}],
     [("Agent co/mkt-1", "BadToolName")]),
    ("RoleProfile/finance", "models.plan.0.model", "bigg", [("RoleProfile co/finance", "UnknownModel")]),
    ("RoleProfile/finance", "models.plan.0.model", "small",
     [("RoleProfile co/finance", "PurposeNotOffered")]),
    ("RoleProfile/finance", "models.plan.0.providerRef", {"name": "x"},
     [("RoleProfile co/finance", NONE)]),
    ("ToolServer/ledger", "tools.0.inputSchema", {"prefixItems": []},
     [("ToolServer co/ledger", "UnsupportedSchema")]),
    ("ToolServer/ledger", "tools.0.inputSchema", {"const": float("inf")},
     [("ToolServer co/ledger", "UnsupportedSchema")]),
    ("Policy/controls", "targets", [{"nodeRef": {"name": "x"}}], [("Policy co/controls", NONE)]),
    ("Policy/controls", "retention", {"auditDays": 100}, [("Policy co/controls", "OnlyAtRoot")]),
    ("Agent/fin-1", "analyzer", "Node", [("Agent co/fin-1", "NotOffered")]),
]  # fmt: skip


@pytest.mark.parametrize(("key", "path", "value", "expected"), UNSOUND)
def test_unsound(key: str, path: str, value: object, expected: list[tuple[str, str]]) -> None:
    found = problems(set_field(company(), key, path, value))
    pairs = {(p.resource, p.reason) for p in found}
    assert set(expected) <= pairs
    assert all(p.message for p in found)
    assert all(p.line > 0 for p in found if "/" in p.resource)


def test_one_person_per_login() -> None:
    docs = company()
    for name in ("ceo", "clerk"):
        set_field(docs, f"Person/{name}", "identity", {"issuer": "https://idp.example", "subject": "1"})
    assert reasons(docs) == [("Person co/clerk", "spec.identity.subject", "DuplicateIdentity")]


def test_rules_refer_to_what_exists() -> None:
    rule = """
      effect: Deny
      actions: [CallTool]
      subjects: [{nodeRef: {name: a}}, {agentRef: {name: b}}, {profileRef: {name: c}}, {personRef: {name: d}}]
      resources: [{toolServerRef: {name: e}}, {toolServerRef: {name: ledger}, tools: [pst]},
                  {builtin: Memory}, {providerRef: {name: f}}, {providerRef: {name: cloud}, models: [bigg]},
                  {nodeRef: {name: g}},
                  {agentRef: {name: h}}, {host: x.example}, {gooseExtension: developer}]
    """
    found = reasons(policy(company(), "p", rule))
    assert [(f.split("rules[0].")[1], r) for _, f, r in found] == [
        ("resources[0].toolServerRef.name", "DanglingReference"),
        ("resources[1].tools[0]", "UnknownTool"),
        ("resources[2].builtin", "NotAvailable"),
        ("resources[3].providerRef.name", "DanglingReference"),
        ("resources[4].models[0]", "UnknownModel"),
        ("resources[5].nodeRef.name", "DanglingReference"),
        ("resources[6].agentRef.name", "DanglingReference"),
        ("subjects[0].nodeRef.name", "DanglingReference"),
        ("subjects[1].agentRef.name", "DanglingReference"),
        ("subjects[2].profileRef.name", "DanglingReference"),
        ("subjects[3].personRef.name", "DanglingReference"),
    ]
    rule = "{effect: RequireApproval, actions: [CallTool], approval: {nodeRef: {name: x}}}"
    assert [r for *_, r in reasons(policy(company(), "p", rule))] == ["DanglingReference"]


def test_workflows_refer_to_what_exists() -> None:
    docs = company()
    docs["Workflow/w"] = resource(
        "Workflow",
        "w",
        """
        steps:
          - {name: a, task: {role: financ, prompt: x}, dependsOn: [b]}
          - {name: b, task: {agentRef: {name: none}, prompt: x}, dependsOn: [a]}
          - {name: c, approval: {nodeRef: {name: none}}}
          - {name: d, task: {role: finance, prompt: x}}
        """,
    )
    found = {(field, reason) for _, field, reason in reasons(docs)}
    assert found == {
        ("spec.steps", "Cycle"),
        ("spec.steps[0].task.role", "DanglingReference"),
        ("spec.steps[1].task.agentRef.name", "DanglingReference"),
        ("spec.steps[2].approval.nodeRef.name", "DanglingReference"),
    }


def test_problems_never_hide_one_another() -> None:
    docs = company()
    for key, path, value, _ in (UNSOUND[3], UNSOUND[12], UNSOUND[16], UNSOUND[18], UNSOUND[27]):
        set_field(docs, key, path, value)
    assert len(problems(docs)) >= 5


def test_nothing_at_all() -> None:
    assert reasons({}) == [("OrgNode", "spec.parentRef", "NoRoot")]
