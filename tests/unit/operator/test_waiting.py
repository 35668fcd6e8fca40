"""Which workflows wait with an agent that waits for consent."""

from cadre_api.v1alpha1 import Agent, Resource, Workflow
from cadre_core.load import parse_documents
from cadre_operator.chart.waiting import without_waiting
from cadre_operator.keys import Key

CHART = """
apiVersion: cadre.dev/v1alpha1
kind: Agent
metadata: {name: fin, namespace: co}
spec: {nodeRef: {name: finance}, profileRef: {name: finance}, purpose: Counts.}
---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: books, namespace: co}
spec: {steps: [{name: close, task: {agentRef: {name: fin}, prompt: Close.}}]}
---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: year, namespace: hq}
spec: {steps: [{name: month, workflow: {workflowRef: {name: books, namespace: co}}}]}
---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: tell, namespace: co}
spec: {steps: [{name: fin, message: {agentRef: {name: fin}, text: Hello.}}]}
---
apiVersion: cadre.dev/v1alpha1
kind: Workflow
metadata: {name: namesake, namespace: hq}
spec: {steps: [{name: other, task: {agentRef: {name: fin}, prompt: Not the one of co.}}]}
"""
FIN = Key("Agent", "co", "fin")


def chart() -> dict[Key, Resource]:
    resources, problems = parse_documents([("chart.yaml", CHART)])
    assert not problems
    return {
        Key(kind.__name__, *path.split("/")): model
        for kind in (Agent, Workflow)
        for path, model in resources.of(kind).items()
    }


def test_a_workflow_waits_with_the_agent_it_names_and_with_the_workflow_it_runs() -> None:
    left = without_waiting(chart(), [FIN])
    assert set(left) == {Key("Workflow", "hq", "namesake")}


def test_where_nothing_waits_all_stays() -> None:
    assert without_waiting(chart(), []) == chart()
