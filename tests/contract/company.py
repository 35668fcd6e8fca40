"""A small company for store and service tests: three nodes, four people, two agents, one ledger."""

CHART = """
apiVersion: cadre.dev/v1alpha1
kind: OrgNode
metadata: {name: orbit, namespace: orbit}
spec:
  type: Organization
  title: Orbit
  members: [{personRef: {name: boss}, roles: [Head]}]
  profileRef: {name: base}
  budget: {period: Month, amount: "10.00", currency: USD, onExceeded: Stop}
  agents: {max: 20, allowedProfiles: [{name: base}, {name: finance}], consent: Never}
---
apiVersion: cadre.dev/v1alpha1
kind: OrgNode
metadata: {name: finance, namespace: orbit}
spec:
  type: Department
  title: Finance
  parentRef: {name: orbit}
  members:
    - {personRef: {name: head}, roles: [Head, AgentRequester]}
    - {personRef: {name: clerk}, roles: [Member, AgentRequester]}
  profileRef: {name: finance}
  budget: {period: Month, amount: "5.00", currency: USD, tokens: 100000, onExceeded: Downshift}
---
apiVersion: cadre.dev/v1alpha1
kind: OrgNode
metadata: {name: sales, namespace: orbit}
spec:
  type: Department
  title: Sales
  parentRef: {name: orbit}
  members: [{personRef: {name: seller}, roles: [Head, AgentRequester]}]
---
apiVersion: cadre.dev/v1alpha1
kind: RoleProfile
metadata: {name: base, namespace: orbit}
spec:
  title: Assistant
  instructions: Help.
  models:
    work: [{providerRef: {name: models}, model: small}]
  tools: [{name: mesh, builtin: Mesh}]
  guard: {mode: Mask, clearance: [INTERNAL, PII]}
  recipes:
    - name: greet
      title: Greet
      parameters: [{name: tone, type: String, required: true}]
      prompt: "Please write in a {{ tone }} tone."
---
apiVersion: cadre.dev/v1alpha1
kind: RoleProfile
metadata: {name: finance, namespace: orbit}
spec:
  inherits: [{name: base}]
  title: Finance assistant
  tools:
    - {name: ledger, toolServerRef: {name: ledger}, allow: [{tool: post_entry}]}
  guard: {mode: Mask, clearance: [INTERNAL, PII, FINANCIAL]}
---
apiVersion: cadre.dev/v1alpha1
kind: Agent
metadata: {name: finance-1, namespace: orbit}
spec:
  nodeRef: {name: finance}
  ownerRef: {name: clerk}
  purpose: Books.
  scaling: {min: 1, max: 1, concurrency: 2}
---
apiVersion: cadre.dev/v1alpha1
kind: Agent
metadata: {name: sales-1, namespace: orbit}
spec:
  nodeRef: {name: sales}
  ownerRef: {name: seller}
  purpose: Sells.
  scaling: {min: 1, max: 1, concurrency: 2}
---
apiVersion: cadre.dev/v1alpha1
kind: ModelProvider
metadata: {name: models, namespace: orbit}
spec:
  openai: {baseURL: http://127.0.0.1:7460/v1}
  models:
    - name: small
      contextWindow: 32000
      price: {currency: USD, inputPerMillion: "1.00", outputPerMillion: "2.00"}
      purposes: [work]
---
apiVersion: cadre.dev/v1alpha1
kind: ToolServer
metadata: {name: ledger, namespace: orbit}
spec:
  stdio: {command: [ledger]}
  clearance: [FINANCIAL]
  tools:
    - name: post_entry
      effects: Destructive
      idempotent: false
      inputSchema:
        type: object
        properties: {amount: {type: number, minimum: 0}}
        required: [amount]
        additionalProperties: false
---
apiVersion: cadre.dev/v1alpha1
kind: Policy
metadata: {name: privacy, namespace: orbit}
spec:
  targets: [{nodeRef: {name: orbit}, scope: Subtree}]
  guard:
    mode: Mask
    classes: [{name: CREDENTIALS, action: Mask}]
    entities: [{type: PRIVATE_KEY, action: Block}]
"""

PEOPLE = (
    ("boss", "Beatrix Vandermolen", "INTERNAL, PII, FINANCIAL"),
    ("head", "Konstantin Hohenfels", "INTERNAL, PII, FINANCIAL"),
    ("clerk", "Mirabel Ruizdottir", "INTERNAL, PII"),
    ("seller", "Oswin Grossmark", "INTERNAL, PII"),
)

SEEDED = (
    "Konstantin Hohenfels",
    "Beatrix Vandermolen",
    "k.hohenfels@orbit.example",
    "DE89370400440532013000",
    "4111111111111111",
    "+49 30 901820",
    "AKIAIOSFODNN7EXAMPLE",
)
"""Values that may be in no table, only in sealed bytes."""

PROMPT = (
    "Konstantin Hohenfels (k.hohenfels@orbit.example, +49 30 901820) asks Beatrix Vandermolen to pay "
    "120 EUR to "
    "IBAN DE89370400440532013000 with card 4111111111111111; the key is AKIAIOSFODNN7EXAMPLE."
)


def people() -> str:
    """Persons of the chart as YAML documents."""
    return "---".join(
        f"""
apiVersion: cadre.dev/v1alpha1
kind: Person
metadata: {{name: {name}, namespace: orbit}}
spec:
  identity: {{issuer: https://idp.example, subject: {name}-1}}
  displayName: {shown}
  email: {shown[0].lower()}.{shown.split()[1].lower()}@orbit.example
  clearance: [{classes}]
"""
        for name, shown, classes in PEOPLE
    )


def documents(*, root_budget: str = "10.00", extra: str = "") -> list[tuple[str, str]]:
    """The chart's files."""
    chart = CHART.replace('amount: "10.00"', f'amount: "{root_budget}"')
    return [("chart.yaml", chart + extra), ("people.yaml", people())]
