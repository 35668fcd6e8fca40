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
