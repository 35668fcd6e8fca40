"""The GitOps example: overlays make valid charts; what Argo CD and Flux are told holds for real states."""

import shutil
import subprocess

import cel
import pytest
import yaml

from cadre_api.v1alpha1 import API_VERSION
from cadre_core.compile import compile_chart
from cadre_core.load import parse_documents
from charts.generate import main as generate
from tests.integration.chart.rendering import REPOSITORY, Helm, Object
from tests.integration.chart.test_health import built, cases

EXAMPLE = REPOSITORY / "examples" / "04-gitops"


def kustomized(folder: str) -> list[Object]:
    """What kubectl makes of a folder."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl on PATH")
    command = [kubectl, "kustomize", str(REPOSITORY / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [obj for obj in yaml.safe_load_all(done.stdout) if obj]


@pytest.mark.parametrize(("overlay", "budget"), [("staging", "5.00"), ("prod", "400.00")])
def test_each_overlay_is_a_valid_company_in_a_sealed_namespace(overlay: str, budget: str) -> None:
    objects = kustomized(f"examples/04-gitops/overlays/{overlay}")
    namespace = next(obj for obj in objects if obj["kind"] == "Namespace")["metadata"]
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert namespace["labels"]["cadre.dev/agents"] == "true"
    ours = [obj for obj in objects if obj["apiVersion"] == API_VERSION]
    assert {obj["metadata"]["namespace"] for obj in ours} == {namespace["name"]}
    resources, problems = parse_documents([(overlay, yaml.safe_dump_all(ours))], namespace["name"])
    result = compile_chart(resources)
    assert not problems and not result.problems and result.snapshot is not None
    assert list(result.snapshot.agents) == [f"{namespace['name']}/orders-1"]
    root = next(obj for obj in ours if obj["metadata"]["name"] == "harbor-books")
    assert root["spec"]["budget"]["amount"] == budget


def test_flux_waits_for_agents_but_not_for_people() -> None:
    objects = kustomized("examples/04-gitops/flux")
    company = next(obj for obj in objects if obj["metadata"]["name"] == "harbor-books")["spec"]
    rules = company["healthCheckExprs"][0]
    expected = {"Healthy": "Current", "Suspended": ("Current", "InProgress"), "Progressing": "InProgress"}
    for case in cases("Agent"):
        agent = built("Agent", case)
        if "conditions" not in agent.get("status", {}) or case.get("deleting"):
            continue
        context = {"status": agent["status"], "metadata": agent["metadata"]}
        failed = cel.compile(rules["failed"]).execute(context)
        current = cel.compile(rules["current"]).execute(context)
        found = "Failed" if failed else "Current" if current else "InProgress"
        assert found in expected.get(case["health"], ("Failed", "InProgress")), case["name"]
        if case["name"] in ("awaiting-consent", "healthy"):
            assert found == "Current"
        if case["name"] == "stalled":
            assert found == "Failed"


def test_argo_sees_no_difference_in_what_the_operator_fills(helm: Helm) -> None:
    apps = list(yaml.safe_load_all((EXAMPLE / "argocd" / "applications.yaml").read_text()))
    ignored = {entry["kind"] for entry in apps[0]["spec"]["ignoreDifferences"]}
    empty = {
        obj["kind"]
        for obj in helm.render("default")
        if obj["kind"] in ("Lease", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
        or (obj["kind"] == "Secret" and "data" not in obj)
    }
    assert ignored == empty


def test_the_applications_values_render(helm: Helm) -> None:
    apps = list(yaml.safe_load_all((EXAMPLE / "argocd" / "applications.yaml").read_text()))
    release = yaml.safe_load((EXAMPLE / "flux" / "cadre.yaml").read_text())
    for values in (apps[0]["spec"]["source"]["helm"]["valuesObject"], release["spec"]["values"]):
        done = helm.template(values)
        assert done.returncode == 0, done.stderr
    rendered = helm.template(apps[0]["spec"]["source"]["helm"]["valuesObject"]).stdout
    held = [o for o in yaml.safe_load_all(rendered) if o and o["kind"] == "Secret" and "data" in o]
    assert not held, "rendering alone must make nothing random: every sync would make it anew"


def test_what_is_generated_is_what_is_committed(helm: Helm, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(["--check"]) == 0, capsys.readouterr().err


def test_the_kustomize_base_builds() -> None:
    kinds = {obj["kind"] for obj in kustomized("charts/kustomize")}
    assert {"Namespace", "Deployment", "CustomResourceDefinition", "NetworkPolicy"} <= kinds
