"""One full, valid object per kind, using every field: tests change one thing at a time."""

from typing import Any

import yaml

_FULL = """
apiVersion: cadre.dev/v1alpha1
kind: Person
metadata: {name: h-keller, namespace: default}
spec:
  identity: {issuer: "https://idp.acme.example", subject: 7f1c}
  displayName: H. Keller
  email: h.keller@acme.example
  clearance: [INTERNAL, PII, FINANCIAL]
  absences:
  - {name: winter, from: "2026-12-01T00:00:00Z", to: "2026-12-14T00:00:00Z", delegateRef: {name: m-ruiz}}
---
apiVersion: cadre.dev/v1alpha1
kind: OrgNode
metadata: {name: finance, namespace: default}
spec:
  type: Department
  title: Finance
  parentRef: {name: acme}
  members:
  - {personRef: {name: h-keller}, roles: [Head]}
  - {personRef: {name: m-ruiz}, roles: [Approver, AgentRequester]}
  profileRef: {name: finance}
  locale: {languages: [en, de-CH], timeZone: Europe/Berlin, dataResidency: eu}
  budget:
    {amount: "250.00", currency: USD, tokens: 20000000, warnAtPercent: 80, onExceeded: Downshift}
  agents: {max: 20, allowedProfiles: [{name: finance}, {name: analyst}], consent: Head}
  grants: [{name: eu-branch, kinds: [OrgNode, Agent], namespaces: [acme-eu]}]
---
apiVersion: cadre.dev/v1alpha1
kind: RoleProfile
metadata: {name: finance, namespace: default}
spec:
  inherits: [{name: base}]
  title: Finance assistant
  instructions: |
    You prepare budgets and check invoices.
  hints: ["Fiscal year starts in July."]
  skills: [{name: budget-check, tags: [finance, budget], description: Checks budgets}, {name: invoice-match}]
  tools:
  - {name: ledger, toolServerRef: {name: ledger}, allow: [{tool: read_budget}, {tool: post_entry}]}
  - {name: mesh, builtin: Mesh}
  - {name: shell, gooseExtension: developer, allow: [{tool: write}, {tool: edit}]}
  models:
    plan: [{providerRef: {name: anthropic}, model: claude-sonnet}]
    work: [{providerRef: {name: openai}, model: gpt-mini}, {providerRef: {name: local}, model: "qwen2.5:7b"}]
    summarize: [{providerRef: {name: local}, model: "qwen2.5:7b"}]
  guard:
    mode: Mask
    clearance: [INTERNAL, PII, FINANCIAL]
    entities: [{type: CREDIT_CARD, action: Block}]
    classes: [{name: PHI, action: Block}]
  recipes:
  - name: month-close
    title: Month-end close
    description: Closes a month
    parameters:
    - {name: month, type: Date, required: true, default: "2026-01-01", description: The month to close}
    prompt: Close {{ month }}.
  memory: {retentionDays: 90, scope: Node}
---
apiVersion: cadre.dev/v1alpha1
kind: Agent
metadata: {name: finance-1, namespace: default, labels: {pool: finance}}
spec:
  nodeRef: {name: finance}
  profileRef: {name: finance}
  ownerRef: {name: m-ruiz}
  purpose: Month-end close and budget checks
  runtime: {acp: {image: "registry.example/agent@sha256:0", command: [agent, --acp], transport: WebSocket}}
  replicas: 1
  scaling: {min: 0, max: 3, idleAfter: 15m, concurrency: 2, drainTimeout: 30m}
  state: {volume: {size: 1Gi, storageClassName: standard}}
  resources:
    agent: {requests: {cpu: 500m, memory: 512Mi}, limits: {cpu: 2, memory: 2Gi, ephemeralStorage: 1Gi}}
    guard: {requests: {cpu: 100m}}
  analyzer: Sidecar
  narrow:
    tools: [{name: ledger, deny: [{tool: post_entry}]}]
    models: [{providerRef: {name: anthropic}, model: claude-sonnet}]
  lifecycle: Running
---
apiVersion: cadre.dev/v1alpha1
kind: Policy
metadata: {name: finance-controls, namespace: default}
spec:
  targets: [{nodeRef: {name: finance}, scope: Subtree}]
  rules:
  - name: ledger-writes-need-the-head
    effect: RequireApproval
    actions: [CallTool]
    resources: [{toolServerRef: {name: ledger}, tools: [post_entry]}]
    when: args.amount > 1000.00
    approval:
      by: ReportingLine
      role: Head
      nodeRef: {name: finance}
      quorum: 1
      separationOfDuties: true
      timeout: 8h
      onTimeout: Escalate
    message: Entries above 1000 need the head of finance.
  - name: no-marketing-in-ledger
    effect: Deny
    actions: [CallTool]
    subjects:
    - {nodeRef: {name: marketing}, scope: Subtree}
    - {agentRef: {name: marketing-1}}
    - {profileRef: {name: marketing}}
    - {personRef: {name: h-keller}}
    resources:
    - {toolServerRef: {name: ledger}}
    - {builtin: Mesh, tools: [send_task]}
    - {gooseExtension: developer}
  - name: health-data-stays-local
    effect: Deny
    actions: [UseModel, Egress, RouteTask]
    resources:
    - {locality: Cloud}
    - {providerRef: {name: openai}, models: [gpt-mini]}
    - {nodeRef: {name: hr}, scope: Node}
    - {agentRef: {name: hr-1}}
    - {host: "*.example.com"}
    when: '"PHI" in data.classes'
  guard:
    mode: Mask
    entities: [{type: CREDIT_CARD, action: Block}]
    classes: [{name: CREDENTIALS, action: Block}]
    recognizers: [{name: project-code, pattern: 'PRJ-\\d{5}', entity: PROJECT, dataClass: INTERNAL}]
    allowList: [Acme]
    denyList: [Nightingale]
  retention: {transcriptDays: 30, artifactDays: 30, auditDays: 365}
  enforcement: Enforce
---
apiVersion: cadre.dev/v1alpha1
kind: ModelProvider
metadata: {name: openai, namespace: default}
spec:
  openai: {baseURL: "https://api.openai.com/v1", organization: acme}
  credentialsRef: {secret: {name: openai, key: apiKey}}
  models:
  - name: gpt-mini
    contextWindow: 128000
    price: {currency: USD, inputPerMillion: "0.15", outputPerMillion: "0.60", cachedInputPerMillion: "0.07"}
    purposes: [work, summarize]
  limits: {requestsPerMinute: 300, timeout: 120s}
---
apiVersion: cadre.dev/v1alpha1
kind: ToolServer
metadata: {name: ledger, namespace: default}
spec:
  stdio:
    image: registry.example/ledger@sha256:0
    command: [python, -m, ledger]
    env: [{name: LEDGER, value: "1"}, {name: LEDGER_KEY, secret: {name: ledger, key: key}}]
  credentialsRef: {vault: {path: kv/ledger, field: token}}
  clearance: [FINANCIAL]
  tools:
  - {name: read_budget, effects: ReadOnly, description: Reads a budget}
  - name: post_entry
    effects: Destructive
    idempotent: true
    inputSchema:
      type: object
      properties: {amount: {type: number}, account: {type: [string, "null"]}}
      required: [amount]
  limits: {requestsPerMinute: 60, timeout: 30s}
---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: month-close, namespace: default}
spec:
  description: Closes the month
  parameters: [{name: month, type: String}]
  steps:
  - {name: ap, timeout: 2h, task: {role: finance, recipe: invoice-match, with: {month: params.month}}}
  - {name: tb, task: {role: analyst, prompt: Draw up the trial balance}}
  - {name: sign-off, dependsOn: [ap, tb], approval: {nodeRef: {name: finance}, timeout: 24h}}
  - {name: publish, dependsOn: [sign-off], onFailure: undo, task: {agentRef: {name: a-1}, prompt: Publish}}
  - {name: undo, compensates: publish, task: {agentRef: {name: finance-1}, prompt: Take it back}}
"""

Object = dict[str, Any]


def full_object(kind: str) -> Object:
    """Return a fresh object of the kind with every field set."""
    return next(obj for obj in yaml.safe_load_all(_FULL) if obj["kind"] == kind)


REMOVED = object()
"""Value that takes a field away."""


def changed(obj: Object, **changes: object) -> Object:
    """Set the fields named by paths such as `spec__tools__0__name`; `REMOVED` takes one away."""
    for path, value in changes.items():
        *parents, last = path.split("__")
        place: Any = obj
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        key: Any = int(last) if isinstance(place, list) else last
        if value is REMOVED:
            place.pop(key)
        else:
            place[key] = value
    return obj
