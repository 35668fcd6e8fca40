"""Small charts for tests, written as YAML and read through the real loader."""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from textwrap import dedent

import yaml

from cadre_core.compile import compile_chart
from cadre_core.load import parse_documents
from cadre_core.model import CompileResult, Problem, Snapshot

Docs = dict[str, dict]


def resource(kind: str, name: str, spec: Mapping | str, namespace: str = "co") -> dict:
    body = yaml.safe_load(dedent(spec)) if isinstance(spec, str) else dict(spec)
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "cadre.dev/v1alpha1", "kind": kind, "metadata": meta, "spec": body}


LEDGER_SCHEMA = {
    "type": "object",
    "properties": {
        "amount": {"type": "number", "minimum": 0},
        "department": {"type": "string"},
        "urgent": {"type": "boolean"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"sum": {"type": "number"}}}},
        "count": {"type": ["integer", "null"]},
        "loose": {},
    },
    "required": ["amount"],
    "additionalProperties": False,
}


def company() -> Docs:
    """A company of three levels with two departments, an agent in each, and a policy on one."""
    return deepcopy(_company())


@cache
def _company() -> Docs:
    docs = [
        resource("Person", "ceo", "{displayName: Cora Chief, email: ceo@co.example, clearance: [PII]}"),
        resource("Person", "fin-head", "{displayName: Fred Funds, email: fred@co.example}"),
        resource("Person", "fin-dep", "{displayName: Dora Deputy}"),
        resource("Person", "mkt-head", "{displayName: Mia Market}"),
        resource("Person", "clerk", "{displayName: Carl Clerk}"),
        resource(
            "OrgNode",
            "co",
            """
            {type: Organization, title: The Company, members: [{personRef: {name: ceo}, roles: [Head]}],
             locale: {languages: [en, de]}, budget: {amount: "100.00", currency: USD, tokens: 1000}}""",
        ),
        resource("OrgNode", "ops", "{type: Division, title: Operations, parentRef: {name: co}}"),
        resource(
            "OrgNode",
            "finance",
            """
            {type: Department, title: Finance, parentRef: {name: ops}, profileRef: {name: finance},
             members: [{personRef: {name: fin-head}, roles: [Head]},
                       {personRef: {name: clerk}, roles: [Member, AgentRequester]},
                       {personRef: {name: fin-dep}, roles: [Approver, Auditor]}],
             agents: {max: 3, consent: Head}}""",
        ),
        resource(
            "OrgNode",
            "marketing",
            """
            {type: Department, title: Marketing, parentRef: {name: co},
             members: [{personRef: {name: mkt-head}, roles: [Head, AgentRequester]}],
             agents: {consent: Never, allowedProfiles: [{name: marketing}]}}""",
        ),
        resource(
            "ModelProvider",
            "cloud",
            """
            {openai: {baseURL: "https://models.example/v1"}, credentialsRef: {secret: {name: k, key: apiKey}},
             models: [{name: big, contextWindow: 64000,
                       price: {inputPerMillion: "2.00", outputPerMillion: "8.00"}},
                      {name: small, contextWindow: 32000, purposes: [work, summarize],
                       price: {inputPerMillion: "0.10", outputPerMillion: "0.40"}}],
             limits: {requestsPerMinute: 60, timeout: 30s}}""",
        ),
        resource("ModelProvider", "house", "{ollama: {}, models: [{name: qwen}]}"),
        resource(
            "ToolServer",
            "ledger",
            {
                "stdio": {
                    "command": ["ledger"],
                    "env": [{"name": "A", "value": "1"}, {"name": "B", "secret": {"name": "s", "key": "k"}}],
                },
                "clearance": ["FINANCIAL"],
                "tools": [
                    {"name": "read", "effects": "ReadOnly"},
                    {"name": "post", "effects": "Destructive", "inputSchema": LEDGER_SCHEMA},
                ],
            },
        ),
        resource(
            "RoleProfile",
            "base",
            """
            {title: Base, instructions: Be careful., hints: [Be brief.],
             tools: [{name: mesh, builtin: Mesh}], skills: [{name: writing, tags: [text]}],
             models: {work: [{providerRef: {name: cloud}, model: small},
                             {providerRef: {name: house}, model: qwen}]},
             guard: {mode: Mask, clearance: [INTERNAL]}}""",
        ),
        resource(
            "RoleProfile",
            "finance",
            """
            {inherits: [{name: base}], title: Finance, hints: [Year starts in July.],
             skills: [{name: budgets, tags: [money]}],
             tools: [{name: ledger, toolServerRef: {name: ledger}, allow: [{tool: read}, {tool: post}]}],
             models: {plan: [{providerRef: {name: cloud}, model: big}]},
             guard: {clearance: [INTERNAL, FINANCIAL], entities: [{type: CREDIT_CARD, action: Block}]},
             recipes: [{name: close, title: Close, prompt: "Close {{ month }}",
                        parameters: [{name: month, type: String, required: true}]}]}""",
        ),
        resource("RoleProfile", "marketing", "{inherits: [{name: base}], title: Marketing}"),
        resource(
            "Agent",
            "fin-1",
            """
            {nodeRef: {name: finance}, ownerRef: {name: clerk}, purpose: Budgets,
             scaling: {concurrency: 2, max: 2}}""",
        ),
        resource(
            "Agent",
            "mkt-1",
            "{nodeRef: {name: marketing}, profileRef: {name: marketing}, purpose: Campaigns}",
        ),
        resource(
            "Policy",
            "controls",
            """
            targets: [{nodeRef: {name: finance}}]
            rules:
              - name: large-needs-head
                effect: RequireApproval
                actions: [CallTool]
                resources: [{toolServerRef: {name: ledger}, tools: [post]}]
                when: args.amount > 1000.00
                approval: {timeout: 1h}
              - {name: no-phi-outside, effect: Deny, actions: [UseModel], resources: [{locality: Cloud}],
                 when: '"PHI" in data.classes', message: Health data stays in the house.}
            """,
        ),
    ]
    return {f"{d['kind']}/{d['metadata']['name']}": d for d in docs}


def set_field(docs: Docs, key: str, path: str, value: object) -> Docs:
    """Set `spec.<path>` of one document; None removes it."""
    target = docs[key]["spec"]
    *parents, last = path.split(".")
    for part in parents:
        target = target[int(part)] if isinstance(target, list) else target.setdefault(part, {})
    if isinstance(target, list):
        target[int(last)] = value
    elif value is None:
        target.pop(last)
    else:
        target[last] = value
    return docs


def policy(docs: Docs, name: str, rule: str, node: str = "finance", **more: object) -> Docs:
    """Add a policy with one rule."""
    spec = {
        "targets": [{"nodeRef": {"name": node}}],
        "rules": [{"name": "r", **yaml.safe_load(rule)}],
        **more,
    }
    docs[f"Policy/{name}"] = resource("Policy", name, spec)
    return docs


def result(docs: Docs) -> tuple[CompileResult, tuple[Problem, ...]]:
    texts = [(f"{key.replace('/', '-')}.yaml", yaml.safe_dump(doc)) for key, doc in docs.items()]
    resources, problems = parse_documents(texts)
    return compile_chart(resources), problems


def snapshot(docs: Docs | None = None) -> Snapshot:
    """Compile; the chart must be sound."""
    return _sound(docs) if docs is not None else _snapshot()


@cache
def _snapshot() -> Snapshot:
    return _sound(company())


def _sound(docs: Docs) -> Snapshot:
    compiled, problems = result(docs)
    assert (*problems, *compiled.problems) == ()
    assert compiled.snapshot is not None
    return compiled.snapshot


def problems(docs: Docs) -> list[Problem]:
    compiled, found = result(docs)
    assert (compiled.snapshot is None) == bool(compiled.problems)
    return [*found, *compiled.problems]


def reasons(docs: Docs) -> list[tuple[str, str, str]]:
    """(resource, field, reason) of every problem."""
    return [(p.resource, p.field, p.reason) for p in problems(docs)]
