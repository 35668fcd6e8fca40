"""A company that changes under way: subtrees move, parents go, names come back, schemas and keys are new."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.kube.cluster import CRD_PATH, REPOSITORY, collection
from tests.integration.operator.site import Object, Site, open_site
from tests.support.kube import KubeServer, wait_until

pytestmark = pytest.mark.kube


@pytest.fixture(scope="module")
def company(prepared: KubeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One company without admission, as after a restore: all that arrives is there already. Tests mend it."""
    folder: Path = tmp_path_factory.mktemp("changes")
    with open_site(prepared, folder) as site:
        site.create_acme()
        site.operator(CADRE_WEBHOOK_MANAGE="No")
        site.wait_acme()
        yield site


def original(site: Site, kind: str, name: str) -> Object:
    """An object of the example."""
    return next(o for o in site.acme() if (o["kind"], o["metadata"]["name"]) == (kind, name))


def template(site: Site, agent: str) -> object:
    """What decides whether an agent's pods are replaced."""
    return site.wait_child("StatefulSet", agent)["spec"]["template"]


def changed(site: Site, agent: str, most: int) -> None:
    """An edit of an agent arrives at its workload."""
    limits = {"agent": {"limits": {"memory": f"{most}Mi"}}}
    assert site.patch("Agent", agent, {"spec": {"resources": limits}}).status == 200
    site.wait_child("StatefulSet", agent, lambda s: f"{most}Mi" in str(s["spec"]["template"]))


def test_a_moved_subtree_takes_its_agents_along_and_replaces_no_pod(company: Site) -> None:
    before = template(company, "marketing-1")
    moved = {"spec": {"parentRef": {"name": "corporate"}}}
    assert company.patch("OrgNode", "marketing", moved).status == 200
    for name, path in (
        ("marketing", "acme/corporate/marketing"),
        ("campaigns", "acme/corporate/marketing/campaigns"),
    ):
        wait_until(
            f"{name} to be below its new parent",
            lambda name=name, path=path: company.get("OrgNode", name)["status"].get("path") == path,  # type: ignore[misc]
        )
    company.settle()
    assert company.condition("Agent", "marketing-1", "Accepted")["status"] == "True"
    assert template(company, "marketing-1") == before
    assert (
        company.patch("OrgNode", "marketing", {"spec": {"parentRef": {"name": "commercial"}}}).status == 200
    )


def test_below_a_deleted_parent_everything_works_on_as_it_was(company: Site) -> None:
    company.settle()
    before = template(company, "support-1")
    company.client.delete(company.path("OrgNode", "commercial"))
    company.wait_condition("OrgNode", "support", "Accepted", "False", "ReferenceNotFound")
    said = company.condition("OrgNode", "support", "Accepted")["message"]
    assert "commercial" in said
    changed(company, "finance-1", 701)  # the rest of the company is not held up
    assert template(company, "support-1") == before
    parent = original(company, "OrgNode", "commercial")
    assert company.client.post(collection(parent), parent).status == 201
    company.wait_condition("OrgNode", "support", "Accepted", "True")
    company.wait_condition("Agent", "support-1", "Accepted", "True")


def test_an_agent_that_is_made_anew_under_its_name_gets_parts_of_its_own(company: Site) -> None:
    kinds = ("ServiceAccount", "NetworkPolicy", "ConfigMap", "Service", "StatefulSet")
    old = {kind: company.wait_child(kind, "engineering-1")["metadata"]["uid"] for kind in kinds}
    agent = original(company, "Agent", "engineering-1")
    company.client.delete(company.path("Agent", "engineering-1"))
    assert company.client.post(collection(agent), agent).status == 201
    uid = company.get("Agent", "engineering-1")["metadata"]["uid"]
    for kind in kinds:  # what the garbage collector does with the parts of the one that is gone
        company.client.delete(company.path(kind, "agent-engineering-1"))
    for kind in kinds:
        part = company.wait_child(kind, "engineering-1", lambda p, k=kind: p["metadata"]["uid"] != old[k])  # type: ignore[misc]
        assert [o["uid"] for o in part["metadata"]["ownerReferences"]] == [uid]
    company.wait_condition("Agent", "engineering-1", "Accepted", "True")


def test_an_object_that_an_older_schema_let_in_harms_nobody_else(company: Site) -> None:
    crd = yaml.safe_load((REPOSITORY / "crds" / "agents.yaml").read_text())
    path = f"{CRD_PATH}/{crd['metadata']['name']}"
    strict = crd["spec"]["versions"]
    loose = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    lax = [{**version, "schema": {"openAPIV3Schema": loose}} for version in strict]
    old = original(company, "Agent", "hr-1")
    old["metadata"]["name"] = "hr-9"
    old["spec"] = {**old["spec"], "scaling": {"max": "many"}, "retired": True}
    try:
        assert company.client.patch(path, {"spec": {"versions": lax}}).status == 200
        wait_until("the older schema", lambda: company.client.post(collection(old), old).status in (201, 409))
    finally:
        assert company.client.patch(path, {"spec": {"versions": strict}}).status == 200
    # the server takes no status for it, which would make the whole object valid: events say what is wrong
    wait_until("an event", lambda: any(e["reason"] == "Invalid" for e in company.events("hr-9")))
    told = [e["message"] for e in company.events("hr-9") if e["reason"] == "Invalid"]
    assert len(told) == 1 and "spec.scaling.max" in told[0]
    changed(company, "finance-1", 702)
    # its owner mends it; what this version does not know is no mistake
    mended = {"spec": {"scaling": {"max": 1}}}
    wait_until("the mended object to pass", lambda: company.patch("Agent", "hr-9", mended).status == 200)
    company.wait_condition("Agent", "hr-9", "Accepted", "True")
    company.client.delete(company.path("Agent", "hr-9"))


def test_new_certificates_reach_agents_without_a_new_pod(company: Site) -> None:
    company.settle()
    operator, before = company.replicas[0], template(company, "finance-1")
    bundle = f"/api/v1/namespaces/{company.namespace}/configmaps/cadre-ca"
    authority = company.client.get(bundle).body["data"]["ca.crt"]
    operator.stop()
    for name in ("cadre-ca", "cadre-controller-tls"):
        company.client.delete(f"/api/v1/namespaces/{company.namespace}/secrets/{name}")
    operator.start()
    operator.wait_ready()
    wait_until("the new authority", lambda: company.client.get(bundle).body["data"]["ca.crt"] != authority)
    company.settle()
    assert template(company, "finance-1") == before
