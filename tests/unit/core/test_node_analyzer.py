"""An agent whose texts are read by its machine: offered where machines have an analyzer, and one way more."""

import yaml

from cadre_api.v1alpha1 import Agent
from cadre_core.compile import compile_chart
from cadre_core.load import parse_documents
from cadre_core.manifests import ClusterSettings, agent_manifests
from cadre_core.resources import Resources
from tests.unit.core.build import company, set_field

SETTINGS = ClusterSettings(
    "guard",
    "goose",
    "controller.cadre",
    "10.0.0.9",
    analyzer_host="cadre-analyzer.cadre-system.svc",
    analyzer_ip="10.0.0.10",
)


def _resources() -> Resources:
    docs = set_field(company(), "Agent/fin-1", "analyzer", "Node")
    return parse_documents([("a.yaml", yaml.safe_dump_all(docs.values()))])[0]


def _objects(name: str) -> dict[str, dict]:
    resources = _resources()
    snapshot = compile_chart(resources, node_analyzer=True).snapshot
    assert snapshot is not None
    made = agent_manifests(snapshot, resources.of(Agent)[f"co/{name}"], SETTINGS)
    return {str(o["kind"]): o for o in made}  # type: ignore[misc]


def test_it_is_refused_by_the_name_of_the_value_that_offers_it() -> None:
    [problem] = compile_chart(_resources()).problems
    assert (problem.reason, problem.field) == ("NotOffered", "spec.analyzer")
    assert "analyzer.enabled" in problem.fix


def test_its_pod_reaches_the_analyzer_of_its_machine_besides_the_controller() -> None:
    found = _objects("fin-1")
    system = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "cadre-system"}}}
    assert found["NetworkPolicy"]["spec"]["egress"] == [
        {
            "to": [{**system, "podSelector": {"matchLabels": {"app.kubernetes.io/name": name}}}],
            "ports": [{"protocol": "TCP", "port": port}],
        }
        for name, port in (("cadre-controller", 7441), ("cadre-analyzer", 7442))
    ]
    pod = found["StatefulSet"]["spec"]["template"]["spec"]
    assert pod["hostAliases"][1] == {"ip": "10.0.0.10", "hostnames": ["cadre-analyzer.cadre-system.svc"]}
    [guard] = pod["initContainers"]
    env = {each["name"]: each["value"] for each in guard["env"]}
    assert env["CADRE_ANALYZER"] == "Node"
    assert env["CADRE_ANALYZER_URL"] == "https://cadre-analyzer.cadre-system.svc:7442"
    assert guard["resources"]["limits"] == {"memory": "256Mi"}


def test_its_neighbour_is_as_sealed_as_ever() -> None:
    found = _objects("mkt-1")
    assert len(found["NetworkPolicy"]["spec"]["egress"]) == 1
    pod = found["StatefulSet"]["spec"]["template"]["spec"]
    assert len(pod["hostAliases"]) == 1
    assert "CADRE_ANALYZER_URL" not in {each["name"] for each in pod["initContainers"][0]["env"]}
