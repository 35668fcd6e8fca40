"""An agent's pods: as many as are wanted, replaced one by one, and what they tell."""

import signal

import pytest

from tests.integration.operator.site import Site, bodies
from tests.support.kube import wait_until

pytestmark = pytest.mark.kube


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
