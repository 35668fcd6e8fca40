"""The smaller examples, each applied as its page says and put to its one use."""

from pathlib import Path

import pytest

from tests.e2e.cluster import companies
from tests.e2e.cluster.companies import EXAMPLES, condition, documents, found, model_at, scripted_model
from tests.e2e.cluster.host import docker
from tests.e2e.cluster.kubectl import wait_for
from tests.e2e.cluster.people import People
from tests.e2e.cluster.release import ADMIN, Release
from tests.e2e.cluster.steps import StepFailedError
from tests.e2e.kind.conftest import Lab
from tests.e2e.kind.test_story import asked_of
from tests.support.images import Image

pytestmark = pytest.mark.timeout(1800)

_PLAIN = "cadre/plain-agent:1"


def people_of(lab: Lab, company: str, folder: Path) -> People:
    """A company's people, who may do what a lead may."""
    known = People(lab.kubectl, company, folder, lambda name: f"https://idp.{company}.example#{name}")
    known.let_in()
    return known


def test_an_agent_that_is_not_goose_works_as_a_pod(lab: Lab, release: Release, tmp_path: Path) -> None:
    """05: its own image, started by the shim, over stdio; the head is asked, the model saw codes."""
    kubectl, folder = lab.kubectl, EXAMPLES / "05-any-acp-agent"
    base = f"BASE={lab.images['examples']}"
    docker("build", "--quiet", "--build-arg", base, "--tag", _PLAIN, folder / "agent")
    lab.cluster.load([Image("plain-agent", _PLAIN, "", 0)])
    scenario = (folder / "story" / "scenario.yaml").read_text()
    address = scripted_model(kubectl, "kiln", lab.images["examples"], scenario)
    found(kubectl, ("kiln",), documents(folder / "company.yaml", model_at(address)))
    companies.wait_ready(kubectl, "clerk-1", "kiln")
    people = people_of(lab, "kiln", tmp_path)
    asked = "Our customer Hanna Keller got a cracked bowl and wants a refund of 45 EUR. Write to her."
    task = people.json("e-roth", "task", "run", "--agent", "clerk-1", asked)["id"]
    people.done("n-sato", "approve", asked_of(people, "n-sato"), "--yes")
    ended = people.json("e-roth", "task", "watch", task, "--timeout", "240")
    assert ended["state"] == "Succeeded"
    assert "Hanna Keller" in ended["result"]
    assert "Hanna Keller" not in companies.model_saw(kubectl, "kiln")
    kubectl("delete", "namespace", "kiln", "--wait=false")


def test_a_unit_asks_for_an_agent_and_its_head_consents(lab: Lab, release: Release, tmp_path: Path) -> None:
    """03: who may ask asks, a member may not; nothing is made until the head has agreed."""
    kubectl, folder = lab.kubectl, EXAMPLES / "03-department-request"
    found(kubectl, ("lumen",), documents(folder / "company.yaml"))
    wait_for("the chart is in force", lambda: _accepted(lab, "roleprofiles", "bookkeeper", "lumen"))
    people = people_of(lab, "lumen", tmp_path)
    request = str(folder / "request" / "agent.yaml")
    with pytest.raises(StepFailedError, match="NotEntitled"):
        people.as_("o-hayes")("apply", "-f", request)
    people.as_("m-ruiz")("apply", "-f", request)
    waits = ("agents", "invoices-1", "lumen", "AwaitingApproval")
    wait_for("the agent waits for consent", lambda: condition(kubectl, *waits) == "True")
    assert not kubectl.succeeds("get", "statefulset", "agent-invoices-1", "-n", "lumen")
    assert [item["key"] for item in people.json("h-keller", "approvals")["consents"]] == ["lumen/invoices-1"]
    people.done("h-keller", "approve", "agent/invoices-1", "--yes")
    wait_for("nothing waits", lambda: condition(kubectl, *waits) != "True")
    wait_for("it is made", lambda: kubectl.succeeds("get", "statefulset", "agent-invoices-1", "-n", "lumen"))
    kubectl("delete", "namespace", "lumen", "--wait=false")


def test_a_branch_lives_in_a_namespace_of_its_own_if_it_was_granted(lab: Lab, release: Release) -> None:
    """06: the granted branch has its agent in its own namespace; one without a grant counts for nothing."""
    kubectl, folder = lab.kubectl, EXAMPLES / "06-namespaces"
    group = documents(folder / "company.yaml")
    found(kubectl, ("north", "north-iberia", "north-gulf"), group)
    wait_for("the chart is in force", lambda: _accepted(lab, "orgnodes", "north", "north"))
    kubectl.apply_as(ADMIN, *documents(folder / "iberia.yaml"))
    companies.wait_ready(kubectl, "textos-1", "north-iberia")
    kubectl.apply_as(ADMIN, *documents(folder / "uninvited" / "gulf.yaml"))
    stranger = ("orgnodes", "gulf", "north-gulf", "Accepted")
    wait_for("the branch that nobody granted is told so", lambda: condition(kubectl, *stranger) == "False")
    for name in ("north-iberia", "north-gulf", "north"):
        kubectl("delete", "namespace", name, "--wait=false")


def _accepted(lab: Lab, kind: str, name: str, namespace: str) -> bool:
    return condition(lab.kubectl, kind, name, namespace, "Accepted") == "True"
