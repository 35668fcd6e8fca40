"""From a chart to objects on a real API server, and nothing more than is needed."""

import signal

import pytest

from tests.integration.operator.site import Site, bodies
from tests.support.kube import wait_until

pytestmark = pytest.mark.kube
KINDS = ("ServiceAccount", "NetworkPolicy", "ConfigMap", "Service", "StatefulSet")


def test_every_agent_of_the_example_gets_its_sealed_parts(acme: Site) -> None:
    for kind in KINDS:
        child = acme.wait_child(kind, "finance-1")
        owner = child["metadata"]["ownerReferences"][0]
        assert (owner["kind"], owner["name"], owner["controller"]) == ("Agent", "finance-1", True)
        assert owner["uid"] == acme.get("Agent", "finance-1")["metadata"]["uid"]
    workload = acme.wait_child("StatefulSet", "finance-1")
    pod = workload["spec"]["template"]["spec"]
    assert workload["spec"]["replicas"] == 1
    assert workload["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert (pod["dnsPolicy"], pod["automountServiceAccountToken"]) == ("None", False)
    assert [c["name"] for c in pod["initContainers"]] == ["guard"]
    assert acme.wait_child("StatefulSet", "hr-1")["spec"]["replicas"] == 0
    assert acme.child("PodDisruptionBudget", "finance-1") is not None
    assert acme.child("PodDisruptionBudget", "hr-1") is None


def test_objects_say_how_they_stand_and_carry_no_foreign_notes(acme: Site) -> None:
    for obj in acme.acme():
        found = acme.get(obj["kind"], obj["metadata"]["name"])
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
        types = {c["type"]: c["status"] for c in found["status"]["conditions"]}
        assert types["Accepted"] == "True", found["status"]
        assert not found["metadata"].get("annotations"), "kopf or we left notes on an object"
        assert not found["metadata"].get("finalizers"), "a deletion would wait for us"
    finance = acme.get("OrgNode", "finance")["status"]
    assert finance["path"] == "acme/corporate/finance"
    agent = acme.get("Agent", "finance-1")["status"]
    assert (agent["profile"], agent["owner"], agent["model"]) == ("finance", "m-ruiz", "scripted/scripted")
    assert acme.condition("Agent", "hr-1", "Ready")["reason"] == "Suspended"
    assert acme.condition("Agent", "finance-1", "Ready")["reason"] == "Starting"
    assert acme.condition("Agent", "finance-1", "ControllerSynced")["reason"] == "ControllerUnreachable"


def test_an_edit_sends_what_changed_and_nothing_else(acme: Site) -> None:
    before = len(acme.proxy.changes())
    resources = {"agent": {"limits": {"memory": "640Mi"}}}
    acme.patch("Agent", "finance-1", {"spec": {"resources": resources}})
    acme.wait_child("StatefulSet", "finance-1", lambda s: "640Mi" in str(s["spec"]["template"]))
    acme.settle()
    sent = [(one.method, one.path.rpartition("/")[2]) for one in acme.proxy.changes()[before:]]
    assert sent == [("PATCH", "agent-finance-1"), ("PATCH", "status")]


def test_a_change_reaches_only_the_agents_that_it_concerns(acme: Site) -> None:
    before = len(acme.proxy.changes())
    deny = {"tools": [{"name": "mesh", "builtin": "Mesh"}], "guard": {"clearance": ["INTERNAL", "PII"]}}
    reply = acme.patch("RoleProfile", "hr", {"spec": deny})
    assert reply.status == 200, reply.message
    wait_until("the profile's status", lambda: _generation(acme, "RoleProfile", "hr") == 2)
    acme.settle()
    touched = {one.path.split("/")[-2] for one in acme.proxy.changes()[before:]}
    assert "hr" in touched
    assert touched <= {"hr", "hr-1"}


def _generation(site: Site, kind: str, name: str) -> int:
    return int(site.get(kind, name)["status"]["observedGeneration"])


def test_a_restart_writes_nothing(acme: Site) -> None:
    one = acme.replicas[0]
    assert one.stop() == 0
    before = len(acme.proxy.changes())
    one.start()
    one.wait_ready()
    wait_until("all objects to be looked at", lambda: one.metric("cadre_reconcile_total") > 50)
    acme.settle()
    assert [(w.method, w.path) for w in acme.proxy.changes()[before:]] == []


def test_a_part_that_was_deleted_or_edited_comes_back(acme: Site) -> None:
    old = acme.wait_child("Service", "finance-1")
    acme.client.delete(acme.path("Service", "agent-finance-1"))
    acme.wait_child("Service", "finance-1", lambda s: s["metadata"]["uid"] != old["metadata"]["uid"])
    opened = {"spec": {"egress": [{}]}}
    acme.patch("NetworkPolicy", "agent-finance-1", opened)
    acme.wait_child("NetworkPolicy", "finance-1", lambda n: n["spec"]["egress"] != [{}])
    acme.settle()
    before = len(acme.proxy.changes())
    acme.settle()
    assert len(acme.proxy.changes()) == before, "an answered edit is answered once"


def test_a_part_that_is_not_wanted_any_more_goes(acme: Site) -> None:
    acme.patch("Agent", "finance-1", {"spec": {"scaling": {"max": 1}}})
    wait_until("the budget to go", lambda: acme.child("PodDisruptionBudget", "finance-1") is None)


def test_scale_and_suspend(acme: Site) -> None:
    agent = acme.path("Agent", "finance-1")
    reply = acme.client.patch(f"{agent}/scale", {"spec": {"replicas": 3}})
    assert reply.status == 200, reply.message
    acme.wait_child("StatefulSet", "finance-1", lambda s: s["spec"]["replicas"] == 3)
    acme.kubelet("finance-1")
    acme.wait_condition("Agent", "finance-1", "Ready", "True", "Ready")
    scale = acme.client.get(f"{agent}/scale").body
    assert (scale["status"]["replicas"], "cadre.dev/agent=finance-1" in scale["status"]["selector"]) == (
        3,
        True,
    )
    acme.patch("Agent", "finance-1", {"spec": {"lifecycle": "Suspended"}})
    acme.wait_child("StatefulSet", "finance-1", lambda s: s["spec"]["replicas"] == 0)
    acme.wait_condition("Agent", "finance-1", "Ready", "False", "Draining")
    for ordinal in range(3):
        acme.remove_pod(f"agent-finance-1-{ordinal}")
    acme.wait_condition("Agent", "finance-1", "Ready", "True", "Suspended")
    acme.patch("Agent", "finance-1", {"spec": {"lifecycle": "Running"}})
    acme.wait_child("StatefulSet", "finance-1", lambda s: s["spec"]["replicas"] == 3)


def test_pods_tell_readiness_failures_and_an_open_network(acme: Site) -> None:
    acme.kubelet("marketing-1", ready=False)
    acme.wait_condition("Agent", "marketing-1", "GuardReady", "False")
    ended = {"exitCode": 3, "message": "ProbeAnswered", "reason": "Error"}
    acme.kubelet("marketing-1", ready=False, state={"terminated": ended}, restartCount=1)
    sealed = acme.wait_condition("Agent", "marketing-1", "EgressSealed", "False", "ProbeAnswered")
    assert "the agent is not started" in sealed["message"]
    acme.wait_condition("Agent", "marketing-1", "Ready", "False", "EgressNotSealed")
    assert acme.get("Agent", "marketing-1")["status"]["phase"] == "Failed"
    acme.kubelet("marketing-1", state={"running": {}}, restartCount=2)
    acme.wait_condition("Agent", "marketing-1", "Ready", "True", "Ready")
    acme.wait_condition("Agent", "marketing-1", "EgressSealed", "True", "Sealed")

    def told() -> set[str]:
        return {e["reason"] for e in acme.events("marketing-1")}

    wait_until("both to be told", lambda: {"ProbeAnswered", "Ready"} <= told())
    assert "Starting" not in told()


def test_a_rollout_replaces_pods_one_by_one_from_the_highest(acme: Site) -> None:
    acme.client.patch(f"{acme.path('Agent', 'finance-1')}/scale", {"spec": {"replicas": 2}})
    acme.wait_child("StatefulSet", "finance-1", lambda s: s["spec"]["replicas"] == 2)
    acme.kubelet("finance-1")
    acme.wait_condition("Agent", "finance-1", "Ready", "True")
    workload = acme.wait_child("StatefulSet", "finance-1")
    status = {"status": {"updateRevision": "r2", "currentRevision": "r1"}}
    acme.client.patch(acme.path("StatefulSet", "agent-finance-1") + "/status", status)
    wait_until("the highest pod to be deleted", lambda: _deleting(acme, "agent-finance-1-1"))
    assert not _deleting(acme, "agent-finance-1-0")
    acme.wait_condition("Agent", "finance-1", "Reconciling", "True", "WaitingForDrain")
    acme.remove_pod("agent-finance-1-1")
    acme.pod(workload, 1, ready=False, revision="r2")
    acme.settle()
    assert not _deleting(acme, "agent-finance-1-0"), "a second one goes only when the first is back"
    acme.pod(workload, 1, ready=True, revision="r2")
    wait_until("the other pod to be deleted", lambda: _deleting(acme, "agent-finance-1-0"))
    acme.remove_pod("agent-finance-1-0")
    acme.pod(workload, 0, ready=True, revision="r2")
    acme.client.patch(
        acme.path("StatefulSet", "agent-finance-1") + "/status", {"status": {"currentRevision": "r2"}}
    )
    wait_until("the end", lambda: not acme.condition("Agent", "finance-1", "Reconciling"))
    acme.wait_condition("Agent", "finance-1", "Ready", "True")


def test_a_failing_change_stops_the_rollout_of_other_agents(acme: Site) -> None:
    for agent in ("finance-1", "marketing-1"):
        acme.kubelet(agent)
        acme.wait_condition("Agent", agent, "Ready", "True")
    changed = {"status": {"updateRevision": "r2", "currentRevision": "r1"}}
    acme.client.patch(acme.path("StatefulSet", "agent-finance-1") + "/status", changed)
    wait_until("the first to be replaced", lambda: _deleting(acme, "agent-finance-1-0"))
    acme.remove_pod("agent-finance-1-0")
    broken = {"waiting": {"reason": "CrashLoopBackOff"}}
    acme.pod(acme.wait_child("StatefulSet", "finance-1"), 0, False, "r2", state=broken)
    acme.wait_condition("Agent", "finance-1", "Stalled", "True", "RolloutStopped")
    acme.client.patch(acme.path("StatefulSet", "agent-marketing-1") + "/status", changed)
    acme.wait_condition("Agent", "marketing-1", "Stalled", "True", "RolloutStopped")
    assert not _deleting(acme, "agent-marketing-1-0")
    assert acme.condition("Agent", "marketing-1", "Ready")["status"] == "True", "the former version serves"


def _deleting(site: Site, pod: str) -> bool:
    reply = site.client.get(site.path("Pod", pod))
    return reply.status == 404 or "deletionTimestamp" in reply.body["metadata"]


def test_deleting_an_agent_waits_for_nobody(acme: Site) -> None:
    acme.replicas[0].stop(signal.SIGKILL)
    acme.without_webhooks()
    assert acme.client.delete(acme.path("Agent", "hr-1")).status == 200
    assert acme.client.get(acme.path("Agent", "hr-1")).status == 404
    acme.replicas[0].start()
    acme.replicas[0].wait_ready()
    acme.settle()
    assert all("hr-1" not in str(body.get("metadata", {}).get("name")) for body in bodies(acme)[-5:])
