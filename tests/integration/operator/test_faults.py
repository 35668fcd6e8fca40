"""What goes wrong around the operator: lost leaders, cut watches, a busy or absent API server, no webhook."""

import signal
import time

import pytest

from tests.integration.kube.cluster import collection
from tests.integration.operator.site import Site
from tests.support.kube import wait_until

pytestmark = pytest.mark.kube


def scaled(site: Site, agent: str, most: int) -> None:
    """Change something that shows in an agent's objects."""
    limits = {"agent": {"limits": {"memory": f"{most}Mi"}}}
    reply = site.patch("Agent", agent, {"spec": {"resources": limits}})
    assert reply.status == 200, reply.message


def wait_scaled(site: Site, agent: str, most: int) -> None:
    """Wait for that change to arrive."""
    site.wait_child("StatefulSet", agent, lambda s: f"{most}Mi" in str(s["spec"]["template"]))


def test_another_replica_takes_over_from_a_killed_leader(acme: Site) -> None:
    one = acme.replicas[0]
    two = acme.operator("two", CADRE_WEBHOOK_MANAGE="No")
    assert (one.metric("cadre_leader"), two.metric("cadre_leader")) == (1.0, 0.0)
    assert two.metric("cadre_kube_requests_total") > 0, "it watches"
    writes = len(acme.proxy.changes())
    one.stop(signal.SIGKILL)
    acme.without_webhooks()
    scaled(acme, "finance-1", 601)
    wait_until("the other to lead", lambda: two.metric("cadre_leader") == 1.0)
    wait_scaled(acme, "finance-1", 601)
    acme.settle()
    sent = [(w.method, w.path.rpartition("/")[2]) for w in acme.proxy.changes()[writes:]]
    assert sent == [("PATCH", "agent-finance-1"), ("PATCH", "status")], (
        "taking over writes nothing of its own"
    )


def test_an_orderly_end_hands_over_at_once(acme: Site) -> None:
    one = acme.replicas[0]
    two = acme.operator("two", CADRE_WEBHOOK_MANAGE="No", CADRE_LEASE_SECONDS="60")
    started = time.monotonic()
    assert one.stop() == 0
    wait_until("the other to lead", lambda: two.metric("cadre_leader") == 1.0, 50)
    assert time.monotonic() - started < 50, "it did not have to wait for the lease to run out"


def test_a_leader_that_cannot_reach_the_server_stops_writing_and_comes_back(acme: Site) -> None:
    one = acme.replicas[0]
    acme.proxy.down = True
    acme.proxy.cut()
    wait_until("it to step down", lambda: one.metric("cadre_leader") == 0.0)
    acme.without_webhooks()
    scaled(acme, "finance-1", 602)
    acme.proxy.down = False
    wait_scaled(acme, "finance-1", 602)
    assert one.process is not None
    assert one.process.poll() is None, "it went on running"


def test_a_cut_watch_loses_no_change(acme: Site) -> None:
    acme.proxy.block_watches = True
    acme.proxy.cut()
    scaled(acme, "finance-1", 603)
    acme.proxy.block_watches = False
    wait_scaled(acme, "finance-1", 603)


def test_a_deletion_that_no_watch_told_is_found(acme: Site) -> None:
    acme.wait_child("Service", "finance-1")
    acme.proxy.block_watches = True
    acme.proxy.cut()
    acme.client.delete(acme.path("Service", "agent-finance-1"))
    acme.proxy.expire_watches = True
    acme.proxy.block_watches = False
    # a watch of anything else says nothing of Services: theirs would go on where it was, and be told
    wait_until("the watch of Services to lose its place", lambda: "services" in acme.proxy.expired)
    acme.proxy.expire_watches = False
    acme.wait_child("Service", "finance-1")
    found = [line for line in acme.replicas[0].logs() if line["message"] == "missed deletion found"]
    assert [line["kind"] for line in found] == ["services"]


def test_a_busy_server_is_obeyed_and_nothing_is_lost(acme: Site) -> None:
    refusals: list[float] = []

    def refuse(method: str, path: str) -> tuple[int, dict[str, str]] | None:
        if method != "PATCH" or "/leases/" in path or len(refusals) >= 5:
            return None
        refusals.append(time.monotonic())
        return 429, {"Retry-After": "1"}

    acme.proxy.refuse = refuse
    for number, agent in enumerate(("finance-1", "marketing-1", "hr-1", "support-1")):
        scaled(acme, agent, 610 + number)
    for number, agent in enumerate(("finance-1", "marketing-1", "hr-1", "support-1")):
        wait_scaled(acme, agent, 610 + number)
    assert len(refusals) == 5
    assert refusals[-1] - refusals[0] >= 0.9, "it paused as it was asked to"
    assert acme.replicas[0].metric("cadre_kube_requests_total") > 0


def test_failing_writes_are_said_on_the_object_and_tried_again(acme: Site) -> None:
    broken = True

    def refuse(method: str, path: str) -> tuple[int, dict[str, str]] | None:
        return (500, {}) if broken and "statefulsets" in path and method == "PATCH" else None

    acme.proxy.refuse = refuse
    scaled(acme, "finance-1", 620)
    cond = acme.wait_condition("Agent", "finance-1", "Stalled", "True", "RetriesExhausted")
    assert cond["message"]
    broken = False
    wait_scaled(acme, "finance-1", 620)
    wait_until("it to be well", lambda: not acme.condition("Agent", "finance-1", "Stalled"), 60)


def test_without_the_operator_nothing_is_written_and_with_it_again(acme: Site) -> None:
    one = acme.replicas[0]
    one.stop(signal.SIGKILL)
    obj = next(o for o in acme.acme() if o["metadata"]["name"] == "hr-1")
    extra = {**obj, "metadata": {**obj["metadata"], "name": "hr-2"}}
    reply = acme.client.post(collection(extra), extra)
    assert reply.status == 500
    assert "cadre.dev" in reply.message
    one.start()
    one.wait_ready()
    wait_until("writes to pass", lambda: acme.client.post(collection(extra), extra).status == 201)
    acme.wait_child("StatefulSet", "hr-2")


def test_what_comes_in_past_admission_is_refused_in_its_status(acme: Site) -> None:
    acme.replicas[0].stop()
    acme.without_webhooks()
    before = acme.wait_child("StatefulSet", "finance-1")
    acme.client.delete(acme.path("RoleProfile", "finance"))
    acme.patch("OrgNode", "engineering", {"spec": {"parentRef": {"name": "platform"}}})
    acme.replicas[0].env["CADRE_WEBHOOK_MANAGE"] = "No"
    acme.replicas[0].start()
    acme.replicas[0].wait_ready()
    acme.wait_condition("OrgNode", "finance", "Accepted", "False", "ReferenceNotFound")
    acme.wait_condition("Agent", "finance-1", "Accepted", "False")
    acme.wait_condition("OrgNode", "engineering", "Accepted", "False", "Cycle")
    after = acme.wait_child("StatefulSet", "finance-1")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"], "it serves on"


def test_the_last_good_version_stays_in_force(acme: Site) -> None:
    acme.without_webhooks()
    acme.patch("OrgNode", "engineering", {"spec": {"parentRef": {"name": "platform"}}})
    acme.wait_condition("OrgNode", "engineering", "Accepted", "False", "Cycle")
    acme.client.delete(acme.path("RoleProfile", "finance"))
    acme.wait_condition("OrgNode", "finance", "Accepted", "False", "ReferenceNotFound")
    acme.wait_condition("Agent", "finance-1", "Accepted", "False")
    scaled(acme, "marketing-1", 630)
    wait_scaled(acme, "marketing-1", 630)
    event = next(e for e in acme.events("engineering") if e["reason"] == "Cycle")
    assert event["type"] == "Warning"
    profile = next(o for o in acme.acme() if (o["kind"], o["metadata"]["name"]) == ("RoleProfile", "finance"))
    acme.client.post(collection(profile), profile)
    acme.patch("OrgNode", "engineering", {"spec": {"parentRef": {"name": "product"}}})
    acme.wait_condition("Agent", "finance-1", "Accepted", "True")
    acme.wait_condition("OrgNode", "engineering", "Accepted", "True")


def test_two_charts_in_one_namespace_are_told_apart_from_a_good_one(acme: Site) -> None:
    acme.without_webhooks()
    root = {"type": "Organization", "title": "Second"}
    metadata = {"name": "zweite", "namespace": acme.namespace}
    node = {"apiVersion": "cadre.dev/v1alpha1", "kind": "OrgNode", "metadata": metadata, "spec": root}
    acme.client.post(collection(node), node)
    acme.wait_condition("OrgNode", "zweite", "Accepted", "False", "Conflict")
    assert acme.condition("Agent", "finance-1", "Accepted")["status"] == "True"


def test_probes(acme: Site) -> None:
    one = acme.replicas[0]
    assert one.get("/health")[0] == 200
    text = one.get("/metrics")[1]
    for name in ("reconcile_total", "queue_depth", "watch_silence_seconds", "loop_lag_seconds"):
        assert f"cadre_{name}" in text
    assert one.metric("cadre_watch_silence_seconds") < 60


def test_a_dead_watch_fails_the_liveness_probe(acme: Site) -> None:
    one = acme.replicas[0]
    one.stop()
    one.env["CADRE_WATCH_AGE_SECONDS"] = "5"
    one.start()
    one.wait_ready()
    acme.proxy.block_watches = True
    acme.proxy.cut()
    wait_until("the probe to fail", lambda: one.get("/health")[0] == 503)
    assert "no event nor bookmark" in one.get("/health")[1]


def test_wrong_settings_end_it_at_once(acme: Site) -> None:
    one = acme.replicas[0]
    one.stop()
    one.env["CADRE_WORKERS"] = "many"
    one.start()
    assert one.process is not None
    assert one.process.wait(30) == 2
    assert "CADRE_WORKERS" in one.log.read_text()
