"""Conditions are typed when the chart is compiled: a misspelt argument is a problem, not a silent rule."""

import pytest

from cadre_core.compile.celtext import paths, tokens
from cadre_core.compile.schemawalk import at, sample, types_of
from tests.unit.core.build import company, policy, problems

POST = "resources: [{toolServerRef: {name: ledger}, tools: [post]}]"


def refused(when: str, resources: str = POST, actions: str = "[CallTool]", effect: str = "Deny") -> list[str]:
    quoted = when.replace("'", "''")
    rule = f"{{effect: {effect}, actions: {actions}, {resources}, when: '{quoted}'}}"
    return [p.reason for p in problems(policy(company(), "p", rule))]


@pytest.mark.parametrize(
    "when",
    [
        "args.amount > 1000.00",
        "args.amount > 1000",
        "args['amount'] >= 5 && args.department == \"finance\"",
        "has(args.department) && args.department.startsWith('fin')",
        "args.lines.exists(l, l.sum > 100.0)",
        "args.lines[0].sum > 1.0",
        "args.count == null || args.count > 3",
        "args.urgent == true || args.urgent",
        "-5 != args.amount",
        'size(args.department) > 2 && args.department in ["a", "b"]',
        '"PII" in data.classes && subject.node == "co/finance" && resource.tool == "post"',
        'task.requester == "person:co/clerk" && int(args.amount) > 3',
        '"args.nothing" == args.department  // args.neither',
        'timestamp(args.department) > timestamp("2026-01-01T00:00:00Z")',
        "int(task.id) > 3",
        '{"a": 1}.size() == 1',
    ],
)
def test_sound(when: str) -> None:
    assert refused(when) == []


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ("args.amount >", "BadCondition"),
        ("args.ammount > 5", "UnknownArgument"),
        ("args.lines.sum > 5", "UnknownArgument"),
        ("has(args.amout) && args.amount > 5.0", "UnknownArgument"),
        ('args.amount == "5"', "MistypedCondition"),
        ('"5" != args.amount', "MistypedCondition"),
        ("args.department == 5", "MistypedCondition"),
        ("args.department == true", "MistypedCondition"),
        ('args.amount > "5"', "MistypedCondition"),
        ("args.department > 5", "MistypedCondition"),
        ("args.amount + 1.0", "MistypedCondition"),
        ("args.amount", "MistypedCondition"),
        ("nonsense(args.amount)", "MistypedCondition"),
        ('args.department.matches("[")', "MistypedCondition"),
        ("size(args.amount) > 2", "MistypedCondition"),
        ("args.loose == 5", "UntypedArgument"),
        ("args[subject.node] == 5", "DynamicArgument"),
        ("args[subject.node + 'x'] == 5", "DynamicArgument"),
        ("args == {}", "DynamicArgument"),
        ("arg.amount > 5", "UnknownVariable"),
        ("subject.nod == 'x'", "UnknownVariable"),
        ("data.klasses == []", "UnknownVariable"),
    ],
)
def test_unsound(when: str, reason: str) -> None:
    assert reason in refused(when)


def test_arguments_belong_to_named_tools_with_schemas() -> None:
    server = "resources: [{toolServerRef: {name: ledger}}]"
    assert "NoSchema" in refused("args.amount > 5", server)
    assert "NoSchema" in refused("args.a > 5", "resources: [{gooseExtension: developer}]")
    assert "NoTools" in refused("args.amount > 5", "message: x")
    assert "NoTools" in refused("args.amount > 5", f"{POST[:-1]}, {{locality: Cloud}}]")
    assert "ArgsOutsideCallTool" in refused("args.amount > 5", POST, "[CallTool, UseModel]")
    assert refused('args.task != ""', "resources: [{builtin: Mesh, tools: [send_task]}]") == []
    assert "UnknownArgument" in refused('args.task != ""', "resources: [{builtin: Mesh}]")


def test_problems_of_a_condition_name_the_fix() -> None:
    rule = f"{{effect: Deny, actions: [CallTool], {POST}, when: args.ammount > 5.0}}"
    (problem,) = problems(policy(company(), "p", rule))
    assert (problem.field, problem.fix) == ("spec.rules[0].when", "did you mean amount?")
    assert problem.line > 0


def chains(expression: str) -> list[str]:
    return [path.spelling() for path in paths(tokens(expression))]


def test_field_chains() -> None:
    assert chains('args.a.b > 1 && x == "args.c"') == ["args.a.b", "x"]
    assert chains("args.a['b'].c[0].d") == ["args.a.b.c[].d"]
    assert chains("args.l.all(i, i.x > f(args.y))") == ["args.l", "args.y"]
    assert chains('args["""a"""] == r\'b\'') == ["args.a"]
    assert chains("timestamp(args.t) > now && {k: 1} == {}") == ["args.t", "now"]


def test_schema_walk_through_references_and_branches() -> None:
    schema = {
        "properties": {
            "p": {"$ref": "#/$defs/p"},
            "q": {"anyOf": [{"type": "string"}, {"type": ["null", "number"]}]},
            "e": {"enum": ["a", 1, True, None, [], {}]},
            "c": {"const": "x"},
            "r": {"$ref": "#/$defs/loop"},
            "dead": {"$ref": "#/$defs/none/x"},
        },
        "$defs": {
            "p": {"type": "object", "properties": {"x": {"type": "integer"}}},
            "loop": {"$ref": "#/$defs/loop"},
        },
    }
    assert types_of(at(schema, ("p", "x"))) == {"integer"}
    assert types_of(at(schema, ("q",))) == {"string", "null", "number"}
    assert types_of(at(schema, ("e",))) == {"string", "number", "boolean", "null", "array", "object"}
    assert at(schema, ("r", "x")) == ()
    assert at(schema, ("dead",)) == ()
    seen = [sample(schema, schema, turn) for turn in range(12)]
    assert all(isinstance(s, dict) and s["p"] == {"x": 2} and s["c"] == "x" for s in seen)
    assert {type(s["q"]) for s in seen if isinstance(s, dict)} == {str, type(None), float, int}
