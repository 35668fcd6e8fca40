"""The planner: order never matters, interruptions never matter, and what failed is undone."""

import random
from datetime import timedelta

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cadre_core.workflow import RunState, StepState, steps_to_repeat
from tests.unit.core.workflow.world import NOW, World, flow, step

CLOSE = """
parameters: [{name: month, type: String}]
steps:
  - {name: sign-off, dependsOn: [sum], approval: {timeout: 24h}}
  - {name: sum, dependsOn: [ap, tb], data: 'steps.ap.result + " " + steps.tb.result'}
  - {name: tb, task: {role: analyst, prompt: 'Balance of {{ month }}'}}
  - {name: ap, task: {role: finance, recipe: match, with: {month: 'params.month + "-01"'}}}
  - {name: publish, dependsOn: [sign-off], onFailure: undo, task: {role: finance, prompt: 'Say {{ sum }}',
     with: {sum: steps.sum.result}}}
  - {name: undo, compensates: publish, task: {role: finance, prompt: take back}}
"""
PARAMS = {"month": "2027-01"}


def graph(edges: list[tuple[int, int]], size: int, each: set[int]) -> str:
    steps = []
    for i in range(size):
        after = [f"s{a}" for a, b in edges if b == i and a < i]
        more = {"forEach": "[1, 2, 3]"} if i in each else {}
        steps.append(step(f"s{i}", *dict.fromkeys(after), **more))
    return yaml.safe_dump(steps)


@given(
    size=st.integers(1, 7),
    edges=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12),
    each=st.sets(st.integers(0, 6), max_size=2),
    seeds=st.tuples(st.integers(0, 99), st.integers(0, 99)),
)
@settings(max_examples=40, deadline=None)
def test_any_order_of_arrival_gives_the_same_result(
    size: int, edges: list[tuple[int, int]], each: set[int], seeds: tuple[int, int]
) -> None:
    definition = flow(graph(edges, size, each))
    worlds = [World(definition, chance=random.Random(seed)) for seed in seeds]
    one, two = (world.run() for world in worlds)
    assert one.state is RunState.SUCCEEDED
    assert one.result == two.result
    assert worlds[0].records == worlds[1].records
    place = {name: i for i, (name, _) in enumerate(worlds[0].begun)}
    assert all(place[a] < place[s.name] for s in definition.order for a in s.depends_on)


def test_values_flow_from_step_to_step() -> None:
    world = World(flow(CLOSE), PARAMS, {"ap": "12 match"})
    done = world.run()
    assert (done.state, done.result) == (RunState.SUCCEEDED, {"publish": "publish"})
    assert world.starts["ap", -1].values == {"month": "2027-01-01"}
    assert world.starts["tb", -1].prompt == "Balance of 2027-01"
    assert world.starts["sign-off", -1].values == {"sum": "12 match tb"}
    assert world.starts["publish", -1].prompt == "Say 12 match tb"
    assert "undo" not in {name for name, _ in world.records}


@pytest.mark.parametrize("seed", range(8))
def test_a_failure_stops_undoes_and_says_why(seed: int) -> None:
    text = yaml.safe_dump(
        [
            step("a"),
            step("b", "a"),
            step("long", "a"),
            step("c", "b"),
            step("undo-a", compensates="a"),
            step("undo-b", compensates="b"),
            step("undo-c", compensates="c"),
        ]
    )
    world = World(flow(text), outcomes={"c": Exception}, chance=random.Random(seed))
    done = world.run()
    assert (done.state, done.reason) == (RunState.FAILED, "Broken")
    undone = [name for name, _ in world.begun if name.startswith("undo")]
    assert undone == ["undo-b", "undo-a"]


def test_a_helper_runs_after_a_failure_and_its_own_failure_is_told() -> None:
    world = World(flow(CLOSE), PARAMS, {"publish": Exception})
    assert world.run().reason == "Broken"
    assert world.records["undo", -1].state is StepState.SUCCEEDED
    worse = World(flow(CLOSE), PARAMS, {"publish": Exception, "undo": Exception})
    assert worse.run().reason == "CompensationFailed"


@pytest.mark.parametrize("turns", range(6))
def test_cancel_at_any_time_undoes_what_was_done(turns: int) -> None:
    world = World(flow(CLOSE), PARAMS)
    for _ in range(turns):
        world.turn()
        world.end_one()
    done_before = world.records.get(("publish", -1))
    world.cancelled = True
    done = world.run()
    assert (done.state, done.reason) == (RunState.CANCELLED, "CancelledByRequester")
    assert (("undo", -1) in world.records) == (done_before is not None)


def test_branches_join_and_what_hangs_on_skipped_steps_is_skipped() -> None:
    definition = flow("""
- {name: check, task: {role: r, prompt: p}}
- {name: big, dependsOn: [check], when: 'steps.check.json.sum > 100', task: {role: r, prompt: p}}
- {name: small, dependsOn: [check], when: 'steps.check.json.sum <= 100', task: {role: r, prompt: p}}
- {name: after-big, dependsOn: [big], task: {role: r, prompt: p}}
- {name: join, dependsOn: [after-big, small], data: 'steps["after-big"].state + steps.small.state'}
""")
    world = World(definition, outcomes={"check": '{"sum": 5}'})
    assert world.run().result == {"join": "SkippedSucceeded"}
    assert world.records["after-big", -1].reason == "NothingBefore"
    assert world.records["big", -1].reason == "ConditionFalse"


def test_a_step_for_each_of_a_list() -> None:
    definition = flow("""
- {name: list, data: '["a", "b"]'}
- {name: ask, dependsOn: [list], forEach: steps.list.result, task: {role: r, prompt: 'Ask {{ who }}',
   with: {who: item}}}
- {name: none, forEach: '[]', task: {role: r, prompt: p}}
- {name: all, dependsOn: [ask, none], data: 'steps.ask.result.size() + steps.none.result.size()'}
""")
    world = World(definition)
    assert world.run().result == {"all": 2}
    assert world.starts["ask", 1].prompt == "Ask b"
    broken = World(definition, outcomes={"ask": Exception})
    assert broken.run().state is RunState.FAILED


def test_waits_end_and_slow_steps_are_stopped_by_the_clock_alone() -> None:
    world = World(
        flow("[{name: w, wait: 2h}, {name: t, dependsOn: [w], timeout: 1h, task: {role: r, prompt: p}}]")
    )
    while ("w", -1) not in world.records:
        found = world.turn()
    assert world.look().due == NOW + timedelta(hours=2)
    world.now += timedelta(hours=2)
    while ("t", -1) not in world.records:
        world.turn()
    assert world.records["w", -1].state is StepState.SUCCEEDED
    world.now += timedelta(hours=1)
    found = world.look()
    assert [r.key for r in found.stops] == [("t", -1)]
    assert (found.state, found.reason) == (RunState.FAILED, "StepTimeout")


@pytest.mark.parametrize(
    "expression",
    ["steps.a.result.nope", "1 / 0", "timestamp('2027-01-01T00:00:00Z')", "params.x", "'a' + 1", "{1: 2}"],
)
def test_an_expression_without_a_value_fails_its_step(expression: str) -> None:
    text = yaml.safe_dump([step("a"), {"name": "b", "dependsOn": ["a"], "data": expression}])
    done = World(flow(text)).run()
    assert (done.state, done.reason) == (RunState.FAILED, "ExpressionError")


def test_values_are_bounded() -> None:
    long = yaml.safe_dump(
        [step("a"), {"name": "b", "dependsOn": ["a"], "data": "steps.a.result + steps.a.result"}]
    )
    assert World(flow(long), outcomes={"a": "x" * 40_000}).run().reason == "ExpressionError"
    many = yaml.safe_dump([step("a"), step("b", "a", forEach="steps.a.result")])
    assert World(flow(many), outcomes={"a": [0] * 101}).run().reason == "ExpressionError"
    wide = yaml.safe_dump([step("a"), {"name": "b", "dependsOn": ["a"], "data": "steps.a.result"}])
    assert World(flow(wide), outcomes={"a": [0] * 1001}).run().reason == "ExpressionError"
    unsure = yaml.safe_dump([step("a"), step("b", "a", when="steps.a.result")])
    assert World(flow(unsure)).run().reason == "ExpressionError"


def test_a_placeholder_is_filled_once_and_only_once() -> None:
    text = """
parameters: [{name: x, type: String}]
steps: [{name: a, message: {topic: t, text: 'Say {{ x }} {{y}}', with: {y: '[1, 2]'}}}]
"""
    world = World(flow(text), {"x": "{{ y }}"})
    world.run()
    assert world.starts["a", -1].prompt == "Say {{ y }} [1,2]"


def test_repeating_takes_along_what_hangs_on_it_and_what_was_undone() -> None:
    definition = flow(
        yaml.safe_dump([step("a"), step("b", "a"), step("c", "b"), step("d"), step("u", compensates="a")])
    )
    world = World(definition, outcomes={"c": Exception})
    world.run()
    again = steps_to_repeat(definition, world.records, "c")
    assert {"a", "b", "c", "u"} <= again
    world.records = {k: r for k, r in world.records.items() if k[0] not in again}
    world.begun = [key for key in world.begun if key[0] not in again]
    world.outcomes = {}
    assert world.run().state is RunState.SUCCEEDED
    plain = World(flow(yaml.safe_dump([step("a"), step("b", "a"), step("c", "b")])))
    plain.run()
    assert steps_to_repeat(plain.definition, plain.records, "b") == {"b", "c"}
