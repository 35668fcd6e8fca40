"""From a chart to objects on a real API server, and nothing more than is needed."""

import pytest

from tests.integration.operator.site import Site
from tests.support.kube import wait_until

pytestmark = pytest.mark.kube
KINDS = ("ServiceAccount", "NetworkPolicy", "ConfigMap", "Service", "StatefulSet")


def test_every_agent_of_the_example_gets_its_sealed_parts(company: Site) -> None:
    for kind in KINDS:
        child = company.wait_child(kind, "finance-1")
        owner = child["metadata"]["ownerReferences"][0]
        assert (owner["kind"], owner["name"], owner["controller"]) == ("Agent", "finance-1", True)
        assert owner["uid"] == company.get("Agent", "finance-1")["metadata"]["uid"]
    workload = company.wait_child("StatefulSet", "finance-1")
    pod = workload["spec"]["template"]["spec"]
    assert workload["spec"]["replicas"] == 1
    assert workload["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert (pod["dnsPolicy"], pod["automountServiceAccountToken"]) == ("None", False)
    assert [c["name"] for c in pod["initContainers"]] == ["guard"]
    assert company.wait_child("StatefulSet", "hr-1")["spec"]["replicas"] == 0
    assert company.child("PodDisruptionBudget", "finance-1") is not None
    assert company.child("PodDisruptionBudget", "hr-1") is None


def test_objects_say_how_they_stand_and_carry_no_foreign_notes(company: Site) -> None:
    for obj in company.acme():
        found = company.get(obj["kind"], obj["metadata"]["name"])
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
        types = {c["type"]: c["status"] for c in found["status"]["conditions"]}
        assert types["Accepted"] == "True", found["status"]
        assert not found["metadata"].get("annotations"), "kopf or we left notes on an object"
        assert not found["metadata"].get("finalizers"), "a deletion would wait for us"
    finance = company.get("OrgNode", "finance")["status"]
    assert finance["path"] == "acme/corporate/finance"
    agent = company.get("Agent", "finance-1")["status"]
    assert (agent["profile"], agent["owner"], agent["model"]) == ("finance", "m-ruiz", "scripted/scripted")
    assert company.condition("Agent", "hr-1", "Ready")["reason"] == "Suspended"
    assert company.condition("Agent", "finance-1", "Ready")["reason"] == "Starting"
    assert company.condition("Agent", "finance-1", "ControllerSynced")["reason"] == "ControllerUnreachable"


def test_an_edit_sends_what_changed_and_nothing_else(company: Site) -> None:
    before = len(company.proxy.changes())
    resources = {"agent": {"limits": {"memory": "640Mi"}}}
    company.patch("Agent", "finance-1", {"spec": {"resources": resources}})
    company.wait_child("StatefulSet", "finance-1", lambda s: "640Mi" in str(s["spec"]["template"]))
    company.settle()
    sent = [(one.method, one.path.rpartition("/")[2]) for one in company.proxy.changes()[before:]]
    assert sent == [("PATCH", "agent-finance-1"), ("PATCH", "status")]


def test_a_change_reaches_only_the_agents_that_it_concerns(company: Site) -> None:
    before = len(company.proxy.changes())
    deny = {"tools": [{"name": "mesh", "builtin": "Mesh"}], "guard": {"clearance": ["INTERNAL", "PII"]}}
    reply = company.patch("RoleProfile", "hr", {"spec": deny})
    assert reply.status == 200, reply.message
    wait_until("the profile's status", lambda: _generation(company, "RoleProfile", "hr") == 2)
    company.settle()
    touched = {one.path.split("/")[-2] for one in company.proxy.changes()[before:]}
    assert "hr" in touched
    assert touched <= {"hr", "hr-1"}


def _generation(site: Site, kind: str, name: str) -> int:
    return int(site.get(kind, name)["status"]["observedGeneration"])


def test_a_restart_writes_nothing(company: Site) -> None:
    one = company.replicas[0]
    assert one.stop() == 0
    before = len(company.proxy.changes())
    one.start()
    one.wait_ready()
    wait_until("all objects to be looked at", lambda: one.metric("cadre_reconcile_total") > 50)
    company.settle()
    assert [(w.method, w.path) for w in company.proxy.changes()[before:]] == []


def test_a_part_that_was_deleted_or_edited_comes_back(company: Site) -> None:
    old = company.wait_child("Service", "finance-1")
    company.client.delete(company.path("Service", "agent-finance-1"))
    company.wait_child("Service", "finance-1", lambda s: s["metadata"]["uid"] != old["metadata"]["uid"])
    opened = {"spec": {"egress": [{}]}}
    company.patch("NetworkPolicy", "agent-finance-1", opened)
    company.wait_child("NetworkPolicy", "finance-1", lambda n: n["spec"]["egress"] != [{}])
    company.settle()
    before = len(company.proxy.changes())
    company.settle()
    assert len(company.proxy.changes()) == before, "an answered edit is answered once"


def test_a_part_that_is_not_wanted_any_more_goes(company: Site) -> None:
    company.patch("Agent", "finance-1", {"spec": {"scaling": {"max": 1}}})
    wait_until("the budget to go", lambda: company.child("PodDisruptionBudget", "finance-1") is None)
