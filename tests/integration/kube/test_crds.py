"""The committed CRDs on a real API server: accepted, explained, pruned, with their subresources."""

from typing import Any

import pytest

from cadre_api.v1alpha1 import API_VERSION, KINDS
from tests.integration.kube.cluster import CRD_PATH, Cluster, collection, path_of
from tests.support.api_objects import REMOVED, Object, changed, full_object
from tests.support.kube import wait_until

pytestmark = [pytest.mark.kube, pytest.mark.timeout(1200)]


def stored(cluster: Cluster, obj: Object) -> Object:
    reply = cluster.create(obj)
    assert reply.status == 201, reply.message
    return reply.body


@pytest.mark.parametrize("kind", KINDS)
def test_crds_are_established_and_structural(cluster: Cluster, kind: str) -> None:
    crd = cluster.client.get(f"{CRD_PATH}/{KINDS[kind].crd.plural}.cadre.dev").body
    conditions = {c["type"]: c["status"] for c in crd["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


def test_explain_has_the_words_of_the_models(cluster: Cluster) -> None:
    def schemas() -> Object:
        body = cluster.client.get(f"/openapi/v3/apis/{API_VERSION}").body
        found: Object = body.get("components", {}).get("schemas", {})
        return found

    # the server puts this document together by and by
    wait_until("the words of Agent", lambda: "dev.cadre.v1alpha1.Agent" in schemas())
    agent = schemas()["dev.cadre.v1alpha1.Agent"]
    spec = agent["properties"]["spec"]["properties"]
    assert agent["description"] == "A running, governed assistant at a node of the org chart."
    assert spec["purpose"]["description"] == "Why the agent exists; shown to whoever consents."
    assert "Default: Sidecar" in spec["analyzer"]["description"]


def test_short_names_and_category_are_served(cluster: Cluster) -> None:
    resources = cluster.client.get(f"/apis/{API_VERSION}").body["resources"]
    plain = [resource for resource in resources if "/" not in resource["name"]]
    assert {resource["kind"] for resource in plain} == KINDS.keys()
    assert all(resource["categories"] == ["cadre"] for resource in plain)
    assert sorted(resource["shortNames"][0] for resource in plain) == sorted(
        ["cdnode", "cdprofile", "cdagent", "cdpolicy", "cdperson", "cdmodel", "cdtool", "cdflow"]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_full_objects_are_stored_as_written(cluster: Cluster, kind: str) -> None:
    obj = full_object(kind)
    assert stored(cluster, obj)["spec"] == obj["spec"]
    cluster.client.delete(path_of(obj))


def test_unknown_fields_are_pruned_but_a_pinned_schema_is_kept(cluster: Cluster) -> None:
    obj = changed(full_object("ToolServer"), spec__surprise=1, spec__tools__0__surprise=1)
    schema = obj["spec"]["tools"][1]["inputSchema"]
    spec = stored(cluster, obj)["spec"]
    cluster.client.delete(path_of(obj))
    assert "surprise" not in spec and "surprise" not in spec["tools"][0]
    assert spec["tools"][1]["inputSchema"] == schema


def test_nothing_is_defaulted_into_stored_objects(cluster: Cluster) -> None:
    obj = changed(full_object("Agent"), spec={"nodeRef": {"name": "finance"}, "purpose": "p"})
    assert stored(cluster, obj)["spec"] == obj["spec"]
    cluster.client.delete(path_of(obj))


def test_status_is_written_apart_from_the_spec(cluster: Cluster) -> None:
    obj = changed(full_object("Agent"), metadata__name="with-status", status={"phase": "Busy"})
    assert "status" not in stored(cluster, obj)
    path = path_of(obj)
    reply = cluster.client.patch(
        f"{path}/status", {"status": {"phase": "Idle"}, "spec": {"purpose": "other"}}
    )
    assert (reply.status, reply.body["status"]) == (200, {"phase": "Idle"})
    assert reply.body["spec"]["purpose"] == obj["spec"]["purpose"]
    reply = cluster.client.patch(path, {"status": {"phase": "Busy"}, "spec": {"purpose": "other"}})
    assert (reply.body["status"]["phase"], reply.body["spec"]["purpose"]) == ("Idle", "other")
    assert cluster.client.patch(f"{path}/status", {"status": {"phase": "Dancing"}}).status == 422
    cluster.client.delete(path)


def test_agents_scale(cluster: Cluster) -> None:
    obj = changed(full_object("Agent"), metadata__name="scaled")
    stored(cluster, obj)
    path = path_of(obj)
    cluster.client.patch(f"{path}/status", {"status": {"replicas": 1, "selector": "agent=scaled"}})
    scale = cluster.client.get(f"{path}/scale").body
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"] == {"replicas": 1, "selector": "agent=scaled"}
    assert cluster.client.patch(f"{path}/scale", {"spec": {"replicas": 3}}).status == 200
    assert cluster.client.get(path).body["spec"]["replicas"] == 3
    assert cluster.client.patch(f"{path}/scale", {"spec": {"replicas": 1001}}).status == 422
    cluster.client.delete(path)


def test_agents_scale_from_no_replicas_set(cluster: Cluster) -> None:
    obj = changed(full_object("Agent"), metadata__name="unscaled", spec__replicas=REMOVED)
    stored(cluster, obj)
    path = path_of(obj)
    scale = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "unscaled", "namespace": "default"},
        "spec": {"replicas": 2},
    }
    reply = cluster.client.put(f"{path}/scale", scale)
    assert reply.status == 200, reply.message
    assert cluster.client.get(path).body["spec"]["replicas"] == 2
    cluster.client.delete(path)


def test_columns_of_get(cluster: Cluster) -> None:
    obj = changed(full_object("OrgNode"), metadata__name="shown")
    stored(cluster, obj)
    ready: dict[str, Any] = {"type": "Ready", "status": "True", "reason": "Ready", "message": ""}
    status = {"agents": {"total": 4}, "conditions": [{**ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
    assert cluster.client.patch(f"{path_of(obj)}/status", {"status": status}).status == 200
    table = cluster.client.as_table(collection(obj)).body
    row = dict(zip((c["name"] for c in table["columnDefinitions"]), table["rows"][0]["cells"], strict=True))
    assert {name: row[name] for name in ("Type", "Title", "Parent", "Agents", "Ready")} == {
        "Type": "Department",
        "Title": "Finance",
        "Parent": "acme",
        "Agents": 4,
        "Ready": "True",
    }
    cluster.client.delete(path_of(obj))


def test_two_managers_own_entries_of_one_list(cluster: Cluster) -> None:
    base = changed(full_object("RoleProfile"), metadata__name="shared", spec={"title": "Shared"})
    path = path_of(base)
    for manager, name in (("alice", "a"), ("bob", "b")):
        mine = changed(base, spec={"title": "Shared", "skills": [{"name": name}]})
        assert cluster.client.apply(path, mine, manager).status in (200, 201)
    skills = cluster.client.get(path).body["spec"]["skills"]
    cluster.client.delete(path)
    assert [skill["name"] for skill in skills] == ["a", "b"]
