"""Conditions are typed before they run: a misspelt argument would otherwise match always, or never.

A condition may read `args` only of tools whose schema is pinned and declares the field with a type; then a
missing or mistyped value at run time is refused by the schema or is an error, and an error never allows.
"""

from collections.abc import Mapping

from cadre_api.v1alpha1 import Policy
from cadre_core import cel
from cadre_core.compile import celtext, schemawalk
from cadre_core.compile.catalog import ANY_ARGUMENTS
from cadre_core.compile.draft import Draft
from cadre_core.load.errors import did_you_mean
from cadre_core.mesh import BUILTIN_TOOLS
from cadre_core.model import Rule, ToolServerSpec

VARIABLES: Mapping[str, Mapping[str, object]] = {
    "data": {"classes": ["PII"]},
    "subject": {"agent": "n/a", "person": "n/p", "node": "n/o", "profile": "n/r", "owner": "n/p"},
    "resource": {
        "server": "n/s", "tool": "t", "effects": "ReadOnly", "provider": "n/m", "model": "m",
        "locality": "Cloud", "agent": "n/a", "node": "n/o", "host": "h.example",
    },
    "task": {"id": "t1", "requester": "person:n/p", "role": "r", "recipe": "c", "priority": 0, "attempt": 1},
}  # fmt: skip
"""What a condition may read besides `args`, with a value of the right type for each."""

_LITERALS = {"string": "string", "number": "number"}
_TURNS = 12
Tools = Mapping[str, Mapping[str, object]]


def check_condition(
    draft: Draft, policy: Policy, index: int, rule: Rule, servers: Mapping[str, ToolServerSpec]
) -> None:
    """Note everything that keeps a rule's `when` from meaning what it says."""
    if rule.when:
        checker = _Checker(draft, policy, f"spec.rules[{index}].when", rule, servers)
        checker.run()


class _Checker:
    def __init__(
        self, draft: Draft, policy: Policy, path: str, rule: Rule, servers: Mapping[str, ToolServerSpec]
    ) -> None:
        self._draft, self._policy, self._path, self._rule = draft, policy, path, rule
        self._servers = servers
        self._found = 0

    def run(self) -> None:
        try:
            program = cel.compile(self._rule.when)
        except Exception as error:  # the parser raises several types; each means the same
            self._refuse("BadCondition", str(error).split("\n")[0], "write a CEL expression")
            return
        stream = celtext.tokens(self._rule.when)
        chains = tuple(celtext.paths(stream))
        for chain in chains:
            if chain.root != "args":
                self._check_variable(chain)
        tools = self._tools() if any(chain.root == "args" for chain in chains) else {}
        for name, schema in tools.items():
            for chain in chains:
                if chain.root == "args":
                    self._check_argument(name, schema, chain, stream)
        if not self._found:
            self._try(program, tools)

    def _refuse(self, reason: str, message: str, fix: str = "") -> None:
        self._found += 1
        self._draft.refuse(self._policy, self._path, reason, message, fix)

    def _check_variable(self, chain: celtext.Path) -> None:
        known = VARIABLES.get(chain.root)
        if known is None:
            fix = did_you_mean(chain.root, ["args", *VARIABLES])
            self._refuse("UnknownVariable", f"there is no variable {chain.root}", fix)
        elif chain.fields and chain.fields[0] not in known:
            message = f"{chain.root} has no field {chain.fields[0]}"
            self._refuse("UnknownVariable", message, did_you_mean(chain.fields[0], list(known)))

    def _tools(self) -> Tools:
        """Return the schemas of all tools that the rule is about."""
        if self._rule.actions != {"CallTool"}:
            self._refuse(
                "ArgsOutsideCallTool", "args exists for CallTool only", "give CallTool a rule of its own"
            )
        sources = [r for r in self._rule.resources if "server" in r]
        if not sources or len(sources) != len(self._rule.resources):
            self._refuse(
                "NoTools", "args can be read only of named tools", "name toolServerRef under resources"
            )
        found: dict[str, Mapping[str, object]] = {}
        for source in sources:
            found |= self._tools_of(str(source["server"]), source.get("tools"))
        return found

    def _tools_of(self, server: str, names: object) -> Tools:
        kind, _, name = server.partition(":")
        if kind == "builtin":
            pinned = {tool.name: tool.input_schema for tool in BUILTIN_TOOLS.get(name, ())}
        elif server in self._servers:
            pinned = {key: tool.input_schema for key, tool in self._servers[server].tools.items()}
        else:
            pinned = {}
        chosen = names if isinstance(names, tuple) else sorted(pinned)
        if kind == "goose":
            self._refuse("NoSchema", f"{server} pins no schema, so args cannot be read", "drop the condition")
        return {f"{server}/{tool}": pinned[tool] for tool in chosen if tool in pinned}

    def _check_argument(
        self, tool: str, schema: Mapping[str, object], chain: celtext.Path, stream: tuple[celtext.Token, ...]
    ) -> None:
        if schema == ANY_ARGUMENTS:
            self._refuse(
                "NoSchema",
                f"{tool} pins no inputSchema, so {chain.spelling()} has no type",
                "pin its inputSchema",
            )
            return
        if chain.dynamic or not chain.fields:
            self._refuse("DynamicArgument", f"{chain.spelling()} names no field", "write args.<field>")
            return
        described = schemawalk.at(schema, chain.fields)
        if not described:
            known = [str(name) for part in schemawalk.at(schema, chain.fields[:-1]) for name in _names(part)]
            fix = did_you_mean(chain.fields[-1], known)
            self._refuse("UnknownArgument", f"{tool} has no argument {chain.spelling()}", fix)
            return
        types = schemawalk.types_of(described)
        if not types:
            self._refuse(
                "UntypedArgument",
                f"{chain.spelling()} of {tool} has no type",
                "give it a type in inputSchema",
            )
        for literal in celtext.compared_literals(stream, chain):
            wanted = _LITERALS.get(literal.kind, "boolean")
            if wanted not in {"number" if kind == "integer" else kind for kind in types}:
                declared = " or ".join(sorted(types))
                message = f"{chain.spelling()} of {tool} is {declared}, compared with {literal.text}"
                self._refuse("MistypedCondition", message, f"compare it with a {declared}")

    def _try(self, program: cel.Program, tools: Tools) -> None:
        """Run the condition on values of the declared types: a type error here would be one every time."""
        for name, schema in (tools or {"": {}}).items():
            for turn in range(_TURNS):
                args = schemawalk.sample(schema, schema, turn) if schema else {}
                problem = _run(program, {**VARIABLES, "args": args})
                if problem:
                    where = f" for {name}" if name else ""
                    self._refuse("MistypedCondition", f"{problem}{where}", "compare values of one type")
                    return


def _names(schema: Mapping[str, object]) -> list[str]:
    properties = schema.get("properties")
    return list(properties) if isinstance(properties, Mapping) else []


def _run(program: cel.Program, context: Mapping[str, object]) -> str:
    try:
        result = program.execute(dict(context))
    except Exception as error:
        text = str(error)
        # other errors come from the sample: its text is no number and no date, which says nothing about types
        wrong = isinstance(error, TypeError) or text.startswith(("Undefined", "Function 'matches'"))
        return text.split("\n")[0].split(". ")[0] if wrong else ""
    return "" if isinstance(result, bool) else "the condition is not true or false"
