"""The company that is tortured: departments full of agents, a desk that books, and one small budget."""

CAP = "4.00"
"""What the small department may spend, in USD; a call costs 0.15."""
DEPARTMENTS = 5
SMALL = "d0"
"""The department with the small budget."""
HEAD, CLERK = "anna", "bruno"
FLOW = "close"
"""Two parallel tasks, an approval, a message; refused, the first task is undone."""

_HEADER = "apiVersion: cadre.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: co}}\nspec:\n"


def agents(count: int) -> list[str]:
    """Keys of all agents."""
    return [f"co/a{n}" for n in range(count)]


def department(agent: str) -> str:
    """Key of an agent's node."""
    return f"co/d{int(agent.removeprefix('co/a')) % DEPARTMENTS}"


def chart(count: int, model: str, desk: str) -> str:
    """All documents."""
    documents = [
        _person(HEAD, "Anna Berg"),
        _person(CLERK, "Bruno Keller"),
        _document("OrgNode", "co", _ROOT % {"count": count}),
        *(_document("OrgNode", f"d{n}", _department(f"d{n}")) for n in range(DEPARTMENTS)),
        _document("RoleProfile", "base", _PROFILE),
        _document("ModelProvider", "main", _PROVIDER % {"url": model}),
        _document("ToolServer", "desk", _DESK % {"url": desk}),
        _document("Policy", "controls", _POLICY),
        *(_document("Agent", f"a{n}", _agent(n)) for n in range(count)),
        _document("Workflow", FLOW, _FLOW),
    ]
    return "---\n".join(documents)


def _document(kind: str, name: str, spec: str) -> str:
    return _HEADER.format(kind=kind, name=name) + "".join(f"  {line}\n" for line in spec.strip().split("\n"))


def _person(name: str, shown: str) -> str:
    identity = f'identity: {{issuer: "https://idp.example", subject: {name}}}'
    spec = (
        f"{identity}\ndisplayName: {shown}\nemail: {name}@co.example\nclearance: [INTERNAL, PII, FINANCIAL]"
    )
    return _document("Person", name, spec)


def _department(name: str) -> str:
    budget = f'\nbudget: {{period: Month, amount: "{CAP}", currency: USD, onExceeded: LocalOnly}}'
    members = f"members: [{{personRef: {{name: {CLERK}}}, roles: [Member, AgentRequester]}}]"
    spec = f"type: Department\ntitle: {name}\nparentRef: {{name: co}}\n{members}"
    return spec + (budget if name == SMALL else "")


def _agent(number: int) -> str:
    node = f"nodeRef: {{name: d{number % DEPARTMENTS}}}"
    return f"{node}\nprofileRef: {{name: base}}\nownerRef: {{name: {CLERK}}}\npurpose: Work."


_ROOT = """
type: Organization
title: Company
members: [{personRef: {name: anna}, roles: [Head]}]
profileRef: {name: base}
budget: {period: Month, amount: "100000.00", currency: USD, onExceeded: Stop}
agents: {max: %(count)d, allowedProfiles: [{name: base}], consent: Never}
"""
_PROFILE = """
title: Assistant
instructions: Do the task.
tools:
  - {name: mesh, builtin: Mesh}
  - {name: desk, toolServerRef: {name: desk}, allow: [{tool: book}, {tool: wire}]}
models:
  work: [{providerRef: {name: main}, model: scripted}]
guard: {mode: Mask, clearance: [INTERNAL, PII]}
"""
_PROVIDER = """
openai: {baseURL: "%(url)s/v1"}
models:
  - name: scripted
    contextWindow: 32000
    price: {currency: USD, inputPerMillion: "1000", outputPerMillion: "1000"}
limits: {timeout: 20s}
"""
_DESK = """
http: {url: "%(url)s"}
clearance: [INTERNAL]
tools:
  - name: book
    effects: Additive
    idempotent: true
    inputSchema:
      type: object
      properties: {amount: {type: number}, iban: {type: string}}
      required: [amount]
      additionalProperties: false
  - name: wire
    effects: Destructive
    inputSchema:
      type: object
      properties: {amount: {type: number}}
      required: [amount]
      additionalProperties: false
limits: {timeout: 20s}
"""
_POLICY = """
targets: [{nodeRef: {name: co}, scope: Subtree}]
rules:
  - name: large
    effect: RequireApproval
    actions: [CallTool]
    resources: [{toolServerRef: {name: desk}, tools: [book]}]
    when: args.amount >= 100000.0
    approval: {by: ReportingLine, role: Head, separationOfDuties: true, timeout: 1h, onTimeout: Deny}
"""
_FLOW = """
parameters: [{name: n, type: String, required: true}]
steps:
  - {name: first, task: {role: base, prompt: 'First of flow {{ n }}'}}
  - {name: second, task: {agentRef: {name: a0}, prompt: 'Second of flow {{ n }}'}}
  - {name: sum, dependsOn: [first, second], data: '[steps.first.result, steps.second.result]'}
  - {name: sign, dependsOn: [sum], approval: {nodeRef: {name: co}, timeout: 1h}}
  - {name: tell, dependsOn: [sign], message: {personRef: {name: anna}, text: 'Flow {{ n }} is done'}}
  - {name: undo, compensates: first, task: {agentRef: {name: a1}, prompt: 'Undo flow {{ n }}'}}
"""
