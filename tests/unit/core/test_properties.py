"""What holds for every chart and every request."""

import string

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cadre_api.protocol.base import Effect
from cadre_core.compile import compile_chart
from cadre_core.load import parse_documents
from cadre_core.model import EffectiveAgent
from cadre_core.plan import Change, plan
from cadre_core.policy.decide import PolicyRequest, ToolResource, compile_policies, evaluate
from cadre_core.resources import Resources
from tests.unit.core.build import Docs, company, resource, result, set_field, snapshot

SMALL = settings(max_examples=40, deadline=None)
BASE = company()
PROGRAM = compile_policies(snapshot(BASE))
NODES = ("co", "ops", "finance", "marketing")
KEYS = tuple(BASE)


def texts(docs: Docs, order: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(f"{key.replace('/', '-')}.yaml", yaml.safe_dump(docs[key])) for key in order]


@SMALL
@given(st.permutations(KEYS))
def test_order_never_matters(order: list[str]) -> None:
    resources, problems = parse_documents(texts(BASE, tuple(order)))
    assert problems == ()
    assert compile_chart(resources).snapshot == snapshot(BASE)


@SMALL
@given(st.permutations(KEYS), st.lists(st.sampled_from(KEYS), max_size=6, unique=True))
def test_order_never_matters_for_problems_either(order: list[str], gone: list[str]) -> None:
    left = [key for key in order if key not in gone]
    first = compile_chart(parse_documents(texts(BASE, tuple(left)))[0])
    again = compile_chart(parse_documents(texts(BASE, tuple(sorted(left))))[0])
    assert first == again


def may(agent: EffectiveAgent) -> set[object]:
    tools = {(t.server, t.tool) for t in agent.tools}
    models = {(c.provider, c.model) for found in agent.models.values() for c in found}
    return tools | models | agent.guard.clearance | {f"allowed {term}" for term in agent.guard.allow_list}


@SMALL
@given(st.dictionaries(st.sampled_from(NODES), st.sampled_from(NODES), max_size=3))
def test_moving_nodes_never_widens_what_a_profile_gives(moves: dict[str, str]) -> None:
    docs = set_field(company(), "OrgNode/finance", "agents", {"consent": "Head"})
    before = snapshot(docs).agents["co/fin-1"]
    for node, parent in moves.items():
        if node != "co" and node != parent:
            set_field(docs, f"OrgNode/{node}", "parentRef", {"name": parent})
    compiled, _ = result(docs)
    if compiled.snapshot is None:
        assert {p.reason for p in compiled.problems} <= {"Cycle", "ProfileNotAllowed", "NoProfile"}
        return
    after = compiled.snapshot.agents["co/fin-1"]
    assert may(after) <= may(before)


@SMALL
@given(st.sampled_from(NODES), st.floats(0, 1e6) | st.integers(0, 10**6))
def test_moving_a_node_under_policies_only_adds_theirs(parent: str, amount: float) -> None:
    """Policies of the old place may be lost (plan says Widened); without that no decision gets laxer."""
    docs = company()
    if parent not in ("finance", "ops"):
        set_field(docs, "OrgNode/finance", "parentRef", {"name": parent})
    compiled, _ = result(docs)
    if compiled.snapshot is None:
        return
    order = [Effect.ALLOW, Effect.REQUIRE_APPROVAL, Effect.DENY]
    request = PolicyRequest("co/fin-1", "", "CallTool", ToolResource("co/ledger", "post"), {"amount": amount})
    old, new = (evaluate(p, request).effect for p in (PROGRAM, compile_policies(compiled.snapshot)))
    (change,) = (c for c in plan(snapshot(BASE), compiled.snapshot) if c.agent == "co/fin-1")
    assert order.index(new) >= order.index(old) or change.change is Change.WIDENED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["amount", "department", "urgent", "x"]), JSON, max_size=4))
def test_only_a_plain_small_amount_is_allowed(args: dict[str, object]) -> None:
    decision = evaluate(
        PROGRAM, PolicyRequest("co/fin-1", "", "CallTool", ToolResource("co/ledger", "post"), args)
    )
    if decision.effect is Effect.ALLOW:
        amount = args["amount"]
        assert isinstance(amount, int | float)
        assert not isinstance(amount, bool)
        assert 0 <= amount <= 1000


@settings(max_examples=150, deadline=None)
@given(JSON, JSON)
def test_no_task_or_data_makes_an_error_allow(task: object, spare: object) -> None:
    request = PolicyRequest(
        "co/fin-1",
        "",
        "CallTool",
        ToolResource("co/ledger", "post"),
        {"amount": 5000},
        context={"task": task, "spare": spare},
    )
    assert evaluate(PROGRAM, request).effect is not Effect.ALLOW


@SMALL
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3), max_size=6)
)
def test_profiles_in_any_shape_compile_or_have_problems(inherits: dict[str, list[str]]) -> None:
    docs = company()
    for name in "abcdef":
        refs = [{"name": parent} for parent in dict.fromkeys(inherits.get(name, []))]
        docs[f"RoleProfile/{name}"] = resource("RoleProfile", name, {"title": name, "inherits": refs})
    compiled, _ = result(docs)
    circular = any(_reaches(name, name, inherits) for name in inherits)
    assert (compiled.snapshot is None) == circular
    assert {p.reason for p in compiled.problems} <= {"Cycle"}


def _reaches(start: str, goal: str, edges: dict[str, list[str]]) -> bool:
    seen: set[str] = set()
    todo = list(edges.get(start, []))
    while todo:
        current = todo.pop()
        if current == goal:
            return True
        if current not in seen:
            seen.add(current)
            todo += edges.get(current, [])
    return False


@SMALL
@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("abcdefghx"), max_size=8))
def test_trees_in_any_shape_compile_or_have_problems(parents: dict[str, str]) -> None:
    docs = {"OrgNode/x": resource("OrgNode", "x", "{type: Organization, title: X}")}
    for name, parent in parents.items():
        spec = {"type": "Team", "title": name, "parentRef": {"name": parent}}
        docs[f"OrgNode/{name}"] = resource("OrgNode", name, spec)
    compiled, problems = result(docs)
    if compiled.snapshot is None or problems:
        assert {p.reason for p in (*problems, *compiled.problems)} <= {
            "Cycle",
            "DanglingReference",
            "RuleBroken",
        }
    else:
        assert set(compiled.snapshot.nodes) == {f"co/{name}" for name in (*parents, "x")}


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=string.printable, max_size=200))
def test_no_text_crashes_the_reader(text: str) -> None:
    resources, problems = parse_documents([("a.yaml", text)])
    assert isinstance(resources, Resources)
    assert all(p.reason for p in problems)
