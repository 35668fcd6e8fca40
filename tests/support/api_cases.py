"""Objects that are good or bad, once for both judges: the models on a laptop and a real API server.

A case that one judge lets pass and the other refuses is a hole; running the same table through both finds it.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.support.api_objects import REMOVED, Object, changed, full_object


@dataclass(frozen=True)
class Case:
    """A full object with some changes; `says` is part of what a refusal must tell."""

    name: str
    kind: str
    changes: dict[str, Any] = field(hash=False)
    says: str = ""

    @property
    def obj(self) -> Object:
        """Return the object as a file would hold it."""
        return changed(full_object(self.kind), **self.changes)


def _case(kind: str, name: str, says: str = "", **changes: Any) -> Case:
    return Case(f"{kind}-{name}", kind, changes, says)


def _tool(**fields: Any) -> dict[str, Any]:
    return {"name": "t", **fields}


_REF = {"name": "x"}
_TASK = {"role": "finance", "prompt": "Do it"}

GOOD = (
    _case("Person", "minimal", spec={"displayName": "A"}),
    _case("OrgNode", "root", spec={"type": "Organization", "title": "Acme"}),
    _case("OrgNode", "namesake-elsewhere", spec__parentRef={"name": "finance", "namespace": "other"}),
    _case("OrgNode", "same-name-two-namespaces", spec__members=[
        {"personRef": _REF, "roles": ["Head"]},
        {"personRef": {**_REF, "namespace": "b"}, "roles": ["Member"]}]),
    _case("OrgNode", "tokens-only", spec__budget={"tokens": 1}),
    _case("OrgNode", "no-profile-allowed", spec__agents={"allowedProfiles": []}),
    _case("RoleProfile", "minimal", spec={"title": "Base"}),
    _case("Agent", "minimal", spec={"nodeRef": _REF, "purpose": "p"}),
    _case("Agent", "goose", spec__runtime={"goose": {}}),
    _case("Agent", "ephemeral", spec__state={"ephemeral": {}}),
    _case("Agent", "scaling-default-max", spec__scaling={"min": 1}),
    _case("Agent", "longest-name", metadata__name="a" * 52),
    _case("Policy", "retention-only", spec={"targets": [{"nodeRef": _REF}], "retention": {"auditDays": 90}}),
    _case("Policy", "guard-only", spec={"targets": [{"nodeRef": _REF}], "guard": {"mode": "Block"}}),
    _case("ModelProvider", "ollama", spec={"ollama": {}, "models": [{"name": "qwen2.5:7b"}]}),
    _case("ModelProvider", "gemini", spec={"gemini": {}, "models": [{"name": "g"}]}),
    _case("ModelProvider", "anthropic", spec={"anthropic": {}, "models": [{"name": "c"}]}),
    _case("ToolServer", "http", spec={"http": {"url": "http://localhost:1/mcp"},
                                      "tools": [{"name": "a/b.c_d-e", "effects": "Additive"}]}),
    _case("Workflow", "minimal", spec={"steps": [{"name": "a", "task": _TASK}]}),
)  # fmt: skip

GOOD_PATTERNS = tuple(
    _case("Policy", f"pattern-{pattern}", spec__guard__recognizers__0__pattern=pattern)
    for pattern in (
        "[*+]",
        r"\++",
        r"\(\?=",
        "[(?=]",
        r"C:\\1",
        "(?i)a+?",
        "[[:alpha:]]+",
        r"[]*+]",
        "(?P<n>a)",
    )
)
BAD_PATTERNS = tuple(
    _case("Policy", f"pattern-{pattern}", "valid RE2", spec__guard__recognizers__0__pattern=pattern)
    for pattern in ("a++", "(?<=a)b", "(?!a)", r"(a)\1", "(?P<n>a)(?P=n)", "(?>a)", "[a", "a(?=b)")
)
_LONG = "n" * 60
LARGEST = (
    _case("OrgNode", "most-members", spec__members=[
        {"personRef": {"name": f"{_LONG}{n:03}", "namespace": "s" * 63}, "roles": ["Head"]}
        for n in range(256)]),
    _case("Workflow", "most-steps", spec__steps=[
        {"name": f"{_LONG}{n:03}", "task": _TASK,
         "dependsOn": [f"{_LONG}{m:03}" for m in range(max(0, n - 32), n)]}
        for n in range(64)]),
    _case("Policy", "most-recognizers", spec__guard__recognizers=[
        {"name": f"r{n}", "pattern": "(a{1,9}|bc)" * 46, "entity": "PROJECT"} for n in range(64)]),
    _case("Policy", "most-rules", spec__rules=[
        {"name": f"r{n}", "effect": "Deny", "actions": ["CallTool"], "subjects": [{"nodeRef": _REF}] * 32,
         "resources": [{"toolServerRef": _REF, "tools": ["a"]}] * 32} for n in range(64)]),
)  # fmt: skip

BROKEN_RULES = (
    _case("Person", "absence-backwards", "from must be before to",
          spec__absences__0__to="2026-11-01T00:00:00Z"),
    _case("Person", "dotted-name", "metadata.name", metadata__name="h.keller"),
    _case("Agent", "too-long-name", "at most 52 characters", metadata__name="a" * 53),
    _case("OrgNode", "own-parent", "cannot be its own parent", spec__parentRef={"name": "finance"}),
    _case("OrgNode", "member-twice", "each person once", spec__members=[
        {"personRef": _REF, "roles": ["Head"]}, {"personRef": _REF, "roles": ["Member"]}]),
    _case("OrgNode", "empty-budget", "at least one of: amount, tokens", spec__budget={"period": "Day"}),
    _case("OrgNode", "amount-without-currency", "belong together", spec__budget={"amount": "1"}),
    _case("OrgNode", "currency-without-amount", "belong together",
          spec__budget={"tokens": 1, "currency": "USD"}),
    _case("RoleProfile", "no-source", "exactly one of: toolServerRef, builtin", spec__tools=[_tool()]),
    _case("RoleProfile", "two-sources", "exactly one of: toolServerRef, builtin",
          spec__tools=[_tool(builtin="Mesh", toolServerRef=_REF)]),
    _case("RoleProfile", "open-extension", "needs allow", spec__tools=[_tool(gooseExtension="developer")]),
    _case("Agent", "no-runtime", "exactly one of: goose, acp", spec__runtime={}),
    _case("Agent", "two-runtimes", "exactly one of: goose, acp",
          spec__runtime={"goose": {}, "acp": {"command": ["a"]}}),
    _case("Agent", "no-state", "exactly one of: ephemeral, volume", spec__state={}),
    _case("Agent", "min-above-max", "min must not exceed max", spec__scaling={"min": 2, "max": 1}),
    _case("Agent", "min-above-default-max", "min must not exceed max", spec__scaling={"min": 2}),
    _case("Policy", "says-nothing", "at least one of: rules, guard, retention",
          spec={"targets": [{"nodeRef": _REF}]}),
    _case("Policy", "approval-on-deny", "only for effect RequireApproval", spec__rules__0__effect="Deny"),
    _case("Policy", "no-subject", "exactly one of: nodeRef, agentRef", spec__rules__1__subjects=[{}]),
    _case("Policy", "two-subjects", "exactly one of: nodeRef, agentRef",
          spec__rules__1__subjects=[{"nodeRef": _REF, "agentRef": _REF}]),
    _case("Policy", "subject-scope", "scope needs nodeRef",
          spec__rules__1__subjects=[{"agentRef": _REF, "scope": "Node"}]),
    _case("Policy", "no-resource", "exactly one of: toolServerRef", spec__rules__1__resources=[{}]),
    _case("Policy", "resource-tools", "tools needs toolServerRef or builtin or gooseExtension",
          spec__rules__1__resources=[{"locality": "Cloud", "tools": ["a"]}]),
    _case("Policy", "resource-models", "models needs providerRef",
          spec__rules__1__resources=[{"locality": "Cloud", "models": ["a"]}]),
    _case("Policy", "resource-scope", "scope needs nodeRef",
          spec__rules__1__resources=[{"locality": "Cloud", "scope": "Node"}]),
    _case("Policy", "empty-match", "valid RE2", spec__guard__recognizers__0__pattern="a*"),
    _case("Policy", "finds-nothing", "at least one of",
          spec__guard__recognizers=[{"name": "r", "entity": "PROJECT"}]),
    _case("Policy", "look-ahead", "valid RE2", spec__guard__recognizers__0__pattern="a(?=b)"),
    _case("Policy", "back-reference", "valid RE2", spec__guard__recognizers__0__pattern=r"(a)\1"),
    _case("Policy", "open-bracket", "valid RE2", spec__guard__recognizers__0__pattern="[a"),
    _case("ModelProvider", "none", "exactly one of: openai, anthropic, gemini, ollama",
          spec__openai=REMOVED),
    _case("ModelProvider", "two", "exactly one of: openai, anthropic, gemini, ollama", spec__ollama={}),
    _case("ModelProvider", "no-secret", "exactly one of: secret, vault", spec__credentialsRef={}),
    _case("ToolServer", "two", "exactly one of: http, stdio", spec__http={"url": "http://x"}),
    _case("ToolServer", "env", "exactly one of: value, secret", spec__stdio__env=[{"name": "A"}]),
    _case("Workflow", "empty-step", "exactly one of: task, approval", spec__steps=[{"name": "a"}]),
    _case("Workflow", "nobody", "exactly one of: role, agentRef",
          spec__steps=[{"name": "a", "task": {"prompt": "p"}}]),
    _case("Workflow", "nothing-to-do", "exactly one of: recipe, prompt",
          spec__steps=[{"name": "a", "task": {"role": "r"}}]),
    _case("Workflow", "each-of-a-wait", "forEach needs task or message",
          spec__steps=[{"name": "a", "wait": "1s", "forEach": "[1]"}]),
    _case("Workflow", "message-to-nobody", "exactly one of: agentRef, personRef, topic",
          spec__steps=[{"name": "a", "message": {"text": "t"}}]),
    _case("Workflow", "scheme-of-no-credential", "scheme needs secret",
          spec__steps=[{"name": "a", "http": {"url": "'https://a.example'", "headers": [
              {"name": "X-Key", "value": "'v'", "scheme": "Bearer"}]}}]),
    _case("Workflow", "unknown-dependency", "must name steps", spec__steps__2__dependsOn=["ap", "nope"]),
    _case("Workflow", "unknown-undo", "must name steps", spec__steps__3__onFailure="nope"),
    _case("Workflow", "unknown-compensated", "must name steps", spec__steps__4__compensates="nope"),
    _case("Workflow", "self-dependency", "must not refer to itself", spec__steps__2__dependsOn=["sign-off"]),
    _case("Workflow", "self-undo", "must not refer to itself", spec__steps__3__onFailure="publish"),
    _case("Workflow", "self-compensation", "must not refer to itself", spec__steps__4__compensates="undo"),
)  # fmt: skip
BROKEN_RULES = (*BROKEN_RULES, *BAD_PATTERNS)

BAD_VALUES = (
    _case("Person", "no-name", "displayName", spec__displayName=REMOVED),
    _case("Person", "empty-name", "displayName", spec__displayName=""),
    _case("Person", "mail", "email", spec__email="nobody"),
    _case("Person", "class", "clearance[0]", spec__clearance=["SECRET"]),
    _case("Person", "class-twice", "clearance", spec__clearance=["PII", "PII"]),
    _case("Person", "absence-twice", "absences", spec__absences=[
        {"name": "a", "from": f"2026-0{n}-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"} for n in (1, 2)]),
    _case("Person", "no-time-zone", "absences[0].from", spec__absences__0__from="2026-12-01T00:00:00"),
    _case("OrgNode", "type", "spec.type", spec__type="Squad"),
    _case("OrgNode", "consent", "spec.agents.consent", spec__agents__consent="Off"),
    _case("OrgNode", "role", "members[0].roles[0]", spec__members__0__roles=["Boss"]),
    _case("OrgNode", "no-roles", "members[0].roles", spec__members__0__roles=[]),
    _case("OrgNode", "money-number", "amount", spec__budget__amount=250.5),
    _case("OrgNode", "money-negative", "amount", spec__budget__amount="-1"),
    _case("OrgNode", "money-comma", "amount", spec__budget__amount="1,5"),
    _case("OrgNode", "currency", "currency", spec__budget__currency="usd"),
    _case("OrgNode", "percent", "warnAtPercent", spec__budget__warnAtPercent=101),
    _case("OrgNode", "negative-max", "max", spec__agents__max=-1),
    _case("OrgNode", "reference", "parentRef.name", spec__parentRef={"name": "A_b"}),
    _case("OrgNode", "too-many-members", "members", spec__members=[
        {"personRef": {"name": f"p{n}"}, "roles": ["Member"]} for n in range(257)]),
    _case("RoleProfile", "builtin", "builtin", spec__tools=[_tool(builtin="Shell")]),
    _case("RoleProfile", "tool-twice", "tools", spec__tools=[_tool(builtin="Mesh"), _tool(builtin="Guard")]),
    _case("RoleProfile", "mode", "guard.mode", spec__guard__mode="Warn"),
    _case("RoleProfile", "retention", "retentionDays", spec__memory__retentionDays=0),
    _case("Agent", "no-node", "nodeRef", spec__nodeRef=REMOVED),
    _case("Agent", "no-purpose", "purpose", spec__purpose=REMOVED),
    _case("Agent", "lifecycle", "lifecycle", spec__lifecycle="Paused"),
    _case("Agent", "duration", "idleAfter", spec__scaling__idleAfter="15 minutes"),
    _case("Agent", "duration-number", "idleAfter", spec__scaling__idleAfter=15),
    _case("Agent", "days-as-duration", "drainTimeout", spec__scaling__drainTimeout="1d"),
    _case("Agent", "quantity", "size", spec__state__volume__size="big"),
    _case("Agent", "transport", "transport", spec__runtime__acp__transport="Tcp"),
    _case("Policy", "effect", "rules[0].effect", spec__rules__0__effect="Forbid"),
    _case("Policy", "action", "rules[0].actions[0]", spec__rules__0__actions=["Fly"]),
    _case("Policy", "no-targets", "targets", spec__targets=[]),
    _case("Policy", "entity", "type", spec__guard__entities=[{"type": "credit card", "action": "Mask"}]),
    _case("Policy", "audit-too-short", "auditDays", spec__retention__auditDays=30),
    _case("Policy", "enforcement", "enforcement", spec__enforcement="Off"),
    _case("Policy", "long-condition", "when", spec__rules__0__when="x" * 2049),
    _case("ModelProvider", "no-models", "models", spec__models=[]),
    _case("ModelProvider", "url", "baseURL", spec__openai={"baseURL": "api.openai.com"}),
    _case("ModelProvider", "purpose", "purposes[0]", spec__models__0__purposes=["chat"]),
    _case("ModelProvider", "price", "inputPerMillion", spec__models__0__price__inputPerMillion="free"),
    _case("ToolServer", "effects", "effects", spec__tools__0__effects="Harmless"),
    _case("ToolServer", "unpinned", "tools", spec__tools=REMOVED),
    _case("ToolServer", "no-command", "command", spec__stdio__command=[]),
    _case("Workflow", "step-name", "steps[0].name", spec__steps=[{"name": "A b", "task": _TASK}]),
    _case("Workflow", "step-twice", "steps", spec__steps=[{"name": "a", "task": _TASK}] * 2),
    _case("Workflow", "parameter-type", "parameters[0].type", spec__parameters__0__type="Text"),
)  # fmt: skip

BAD = (*BROKEN_RULES, *BAD_VALUES)
