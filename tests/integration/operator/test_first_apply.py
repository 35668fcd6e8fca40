"""The first minutes: a whole company applied at once, in any order, while admission already asks."""

import random

import pytest

from cadre_local.kube.chart import ORDER
from tests.integration.kube.cluster import collection
from tests.integration.operator.site import FORGER, Site

pytestmark = pytest.mark.kube


@pytest.mark.parametrize("seed", [1, 2])
def test_a_company_may_arrive_in_any_order(site: Site, seed: int) -> None:
    operator = site.operator()
    objects = site.acme()
    random.Random(seed).shuffle(objects)
    for obj in objects:
        reply = site.client.post(collection(obj), obj)
        assert reply.status == 201, f"{obj['kind']} {obj['metadata']['name']}: {reply.message}"
    site.wait_acme()
    for agent in ("finance-1", "hr-1"):
        site.wait_child("StatefulSet", agent)
    assert operator.metric("cadre_admission_total") >= len(objects)
    failures = [line for line in operator.logs() if line.get("level") in ("error", "critical")]
    assert [line for line in failures if FORGER not in line["message"]] == []
    assert operator.stop() == 0


def test_a_company_may_arrive_at_once_below_a_root_that_is_in_force(site: Site) -> None:
    """As `kubectl apply` sends it: what an object refers to was written a moment ago."""
    site.operator()
    objects = sorted(site.acme(), key=lambda obj: ORDER.index(obj["kind"]))
    root = next(i for i, obj in enumerate(objects) if obj["kind"] == "OrgNode")
    for obj in objects[: root + 1]:
        site.client.post(collection(obj), obj)
    site.wait_condition("OrgNode", objects[root]["metadata"]["name"], "Accepted", "True")
    for obj in objects[root + 1 :]:
        reply = site.client.post(collection(obj), obj)
        assert reply.status == 201, f"{obj['kind']} {obj['metadata']['name']}: {reply.message}"
    site.wait_acme()


def test_nobody_but_an_administrator_begins_a_company(site: Site) -> None:
    site.operator()
    obj = next(o for o in site.acme() if o["kind"] == "Person")
    reply = site.user("a-lindqvist").post(collection(obj), obj)
    assert reply.status == 403
    assert "no chart is in force" in reply.message


def test_the_whole_cluster_may_be_served(site: Site) -> None:
    site.create_acme()
    site.operator(CADRE_WATCH_NAMESPACES="")
    site.wait_acme()
    site.wait_child("StatefulSet", "finance-1")


def test_guests_join_by_invitation_only(site: Site) -> None:
    site.create_acme()
    guest = f"{site.namespace}-eu"
    site.client.post("/api/v1/namespaces", {"metadata": {"name": guest}})
    site.operator(CADRE_WATCH_NAMESPACES=f"{site.namespace},{guest}", CADRE_WEBHOOK_MANAGE="No")
    site.wait_acme()
    host = {"name": "support", "namespace": site.namespace}
    spec = {"nodeRef": host, "purpose": "Test.", "lifecycle": "Suspended"}
    metadata = {"name": "guest-1", "namespace": guest}
    agent = {"apiVersion": "cadre.dev/v1alpha1", "kind": "Agent", "metadata": metadata, "spec": spec}
    assert site.client.post(collection(agent), agent).status == 201
    site.namespace = guest
    site.wait_condition("Agent", "guest-1", "Accepted", "False")
    site.namespace = host["namespace"]
    profile = {"profileRef": {"name": "support", "namespace": site.namespace}}
    site.client.patch(f"{collection(agent)}/guest-1", {"spec": profile})
    grants = [{"name": "eu", "kinds": ["Agent"], "namespaces": [guest]}]
    site.patch("OrgNode", "support", {"spec": {"grants": grants}})
    site.namespace = guest
    site.wait_condition("Agent", "guest-1", "Accepted", "True")
    site.wait_child("StatefulSet", "guest-1")
