"""What is wrong with a workflow is found when the chart is compiled, with its field and a fix."""

import pytest

from cadre_core.model import Problem
from tests.unit.core.build import company, problems, resource, snapshot

OTHER = "{parameters: [{name: p, type: String, required: true}], steps: [{name: x, wait: 1s}]}"


def found(spec: str) -> list[Problem]:
    """Problems of a chart with this workflow."""
    docs = company()
    docs["Workflow/w"] = resource("Workflow", "w", spec)
    docs["Workflow/other"] = resource("Workflow", "other", OTHER)
    return problems(docs)


A = "{name: a, task: {role: finance, prompt: p}}"


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        (f"{{steps: [{A}, {{name: b, data: '1 +'}}]}}", "steps[1].data", "BadExpression"),
        (f"{{steps: [{A}, {{name: b, data: 'steps.a.result'}}]}}", "steps[1].data", "NotBefore"),
        (
            f"{{steps: [{A}, {{name: b, dependsOn: [a], data: 'steps.aa.result'}}]}}",
            "steps[1].data",
            "UnknownStep",
        ),
        ("{steps: [{name: b, data: 'steps'}]}", "steps[0].data", "UnknownStep"),
        ("{steps: [{name: b, data: params.x}]}", "steps[0].data", "UnknownParameter"),
        ("{steps: [{name: b, data: params}]}", "steps[0].data", "UnknownParameter"),
        ("{steps: [{name: b, data: nope}]}", "steps[0].data", "UnknownVariable"),
        ("{steps: [{name: b, data: item}]}", "steps[0].data", "UnknownVariable"),
        (
            "{steps: [{name: b, data: '[1].map(x, [2].filter(y, y > x))'}]}",
            "steps[0].data",
            "TooComplex",
        ),
        (
            "{steps: [{name: a, task: {role: finance, prompt: 'Say {{ x }}'}}]}",
            "steps[0].task.prompt",
            "UnknownPlaceholder",
        ),
        (
            "{steps: [{name: a, message: {topic: t, text: 'Say {{ x }}'}}]}",
            "steps[0].message.text",
            "UnknownPlaceholder",
        ),
        (
            "{steps: [{name: a, task: {role: finance, recipe: nope}}]}",
            "steps[0].task.recipe",
            "DanglingReference",
        ),
        (
            "{steps: [{name: a, message: {personRef: {name: nobody}, text: t}}]}",
            "steps[0].message.personRef.name",
            "DanglingReference",
        ),
        (
            "{steps: [{name: a, workflow: {workflowRef: {name: nope}}}]}",
            "steps[0].workflow.workflowRef.name",
            "DanglingReference",
        ),
        (
            "{steps: [{name: a, workflow: {workflowRef: {name: other}}}]}",
            "steps[0].workflow.with",
            "MissingParameter",
        ),
        (
            "{steps: [{name: a, workflow: {workflowRef: {name: other}, with: {p: '1', q: '2'}}}]}",
            "steps[0].workflow.with",
            "UnknownParameter",
        ),
        ("{steps: [{name: a, workflow: {workflowRef: {name: w}}}]}", "steps", "Cycle"),
        ("{steps: [{name: a, wait: 0s}]}", "steps[0].wait", "BadDuration"),
        ("{steps: [{name: a, wait: 1s, timeout: 2s}]}", "steps[0].timeout", "UselessTimeout"),
        (
            "{steps: [{name: a, approval: {allowAlways: {uses: 1, duration: 1h}}}]}",
            "steps[0].approval.allowAlways",
            "NotOffered",
        ),
        (
            f"{{steps: [{A}, {{name: u, compensates: a, wait: 1s}}, {{name: z, dependsOn: [u], wait: 1s}}]}}",
            "steps[2].dependsOn",
            "DependsOnHelper",
        ),
        (
            f"{{steps: [{A}, {{name: u, compensates: a, dependsOn: [a], wait: 1s}}]}}",
            "steps[1].dependsOn",
            "NotOffered",
        ),
        (
            f"{{steps: [{A}, {{name: u, compensates: a, wait: 1s}}, {{name: v, compensates: u, wait: 1s}}]}}",
            "steps[2].compensates",
            "NotOffered",
        ),
        (
            f"{{steps: [{A}, {{name: u, compensates: a, wait: 1s}}, {{name: v, compensates: a, wait: 1s}}]}}",
            "steps[2].compensates",
            "Duplicate",
        ),
        (
            "{parameters: [{name: p, type: Integer, default: x}], steps: [{name: a, wait: 1s}]}",
            "parameters[0].default",
            "BadDefault",
        ),
    ],
)
def test_a_wrong_workflow_is_refused_with_field_and_fix(spec: str, field: str, reason: str) -> None:
    problem = next(p for p in found(spec) if p.resource == "Workflow co/w")
    assert (problem.field, problem.reason) == (f"spec.{field}", reason)
    assert problem.fix or reason == "DanglingReference", problem


def test_a_hyphen_in_a_name_is_explained() -> None:
    spec = "{steps: [{name: do-it, wait: 1s}, {name: b, dependsOn: [do-it], data: steps.do-it.state}]}"
    assert any('steps["do-it"]' in problem.fix for problem in found(spec))


def test_a_sound_workflow_is_part_of_the_chart() -> None:
    docs = company()
    docs["Workflow/other"] = resource("Workflow", "other", OTHER)
    docs["Workflow/w"] = resource(
        "Workflow",
        "w",
        """
        parameters: [{name: who, type: String, default: all}]
        steps:
          - {name: list, data: '["a", "b"].filter(x, x != "a")'}
          - {name: each, dependsOn: [list], forEach: steps.list.result,
             task: {role: finance, prompt: 'Ask {{ x }} of {{ who }}', with: {x: item}}}
          - {name: ask, dependsOn: [each], when: 'size(steps.each.result) > 0', approval: {}}
          - {name: sub, dependsOn: [ask], workflow: {workflowRef: {name: other}, with: {p: params.who}}}
          - {name: undo, compensates: sub, message: {personRef: {name: ceo}, text: 'Undone: {{ e }}',
             with: {e: 'string(size(steps.each.result))'}}}
        """,
    )
    chart = snapshot(docs)
    assert [step.name for step in chart.workflows["co/w"].order] == ["list", "each", "ask", "sub"]
    assert chart.workflows["co/w"].helpers == {"undo"}
