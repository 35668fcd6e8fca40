"""A shared cluster: objects of others under our names, two companies, a slow server, quiet hours."""

import time
from collections.abc import Iterator

import pytest
import yaml

from tests.integration.kube.cluster import REPOSITORY, collection
from tests.integration.operator.site import Object, Site, open_site
from tests.support.kube import KubeServer, wait_until

pytestmark = pytest.mark.kube


@pytest.fixture(scope="module")
def company(prepared: KubeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One company in one of two namespaces that an operator serves; all is looked at all the time."""
    with open_site(prepared, tmp_path_factory.mktemp("neighbours")) as site:
        other = other_namespace(site)
        site.client.post("/api/v1/namespaces", {"metadata": {"name": other}})
        site.create_acme()
        site.operator(CADRE_WATCH_NAMESPACES=f"{site.namespace},{other}", CADRE_RESYNC_SECONDS="2")
        site.wait_acme()
        yield site


def other_namespace(site: Site) -> str:
    """The second one."""
    return f"{site.namespace}-b"


def another(site: Site, name: str) -> Object:
    """An agent like one of the example."""
    found = next(o for o in site.acme() if o["metadata"]["name"] == "hr-1")
    spec = {**found["spec"], "lifecycle": "Running"}
    return {**found, "metadata": {**found["metadata"], "name": name}, "spec": spec}


def changed(site: Site, agent: str, most: int) -> None:
    """Change what shows in an agent's workload."""
    limits = {"agent": {"limits": {"memory": f"{most}Mi"}}}
    reply = site.patch("Agent", agent, {"spec": {"resources": limits}})
    assert reply.status == 200, reply.message


def wait_changed(site: Site, agent: str, most: int) -> None:
    """Wait for that."""
    site.wait_child("StatefulSet", agent, lambda s: f"{most}Mi" in str(s["spec"]["template"]))


def kstatus(obj: Object) -> str:
    """What Flux and kpt make of an object: kstatus' rules for kinds that it does not know."""
    status = obj.get("status", {})
    if status.get("observedGeneration") != obj["metadata"]["generation"]:
        return "InProgress"
    held = {c["type"]: c["status"] for c in status.get("conditions", [])}
    if held.get("Stalled") == "True":
        return "Failed"
    return "Current" if held.get("Ready") == "True" and held.get("Reconciling") != "True" else "InProgress"


def test_every_kind_becomes_current_and_then_nothing_is_written(company: Site) -> None:
    for obj in company.acme():
        if obj["kind"] == "Agent":
            company.kubelet(obj["metadata"]["name"])
    names = [(obj["kind"], obj["metadata"]["name"]) for obj in company.acme()]

    def behind() -> list[tuple[str, str]]:
        return [name for name in names if kstatus(company.get(*name)) != "Current"]

    wait_until("all objects to be current", lambda: not behind())
    assert len({kind for kind, _ in names}) == 8
    company.settle()
    operator = company.replicas[0]
    before, looked = len(company.proxy.changes()), operator.metric("cadre_reconcile_total")
    wait_until(
        "all to be looked at", lambda: operator.metric("cadre_reconcile_total") > looked + 2 * len(names)
    )
    assert [(w.method, w.path) for w in company.proxy.changes()[before:]] == []


@pytest.mark.parametrize("kind", ["ConfigMap", "Service", "StatefulSet"])
def test_an_object_of_others_under_our_name_is_left_alone(company: Site, kind: str) -> None:
    agent = f"taken-{kind.lower()}"
    path = company.path(kind, f"agent-{agent}")
    assert company.client.post(path.rpartition("/")[0], foreign(kind, agent)).status == 201
    before = company.client.get(path).body
    obj = another(company, agent)
    # the quota counts the agent of the test before until its end has been seen
    wait_until("it to be let in", lambda: company.client.post(collection(obj), obj).status == 201)
    cond = company.wait_condition("Agent", agent, "Stalled", "True", "NameTaken")
    assert f"{kind} agent-{agent}" in cond["message"] and "delete or rename it" in cond["message"]
    assert company.get("Agent", agent)["status"]["phase"] == "Failed"
    assert company.client.get(path).body == before
    assert kind == "StatefulSet" or company.child("StatefulSet", agent) is None, (
        "nothing runs with half a seal"
    )
    wait_until("an event", lambda: any(e["reason"] == "NameTaken" for e in company.events(agent)))
    company.client.delete(path)
    company.wait_child(kind, agent, lambda o: o["metadata"]["uid"] != before["metadata"]["uid"])
    wait_until("it to be well", lambda: not company.condition("Agent", agent, "Stalled"))
    company.client.delete(company.path("Agent", agent))


def foreign(kind: str, agent: str) -> Object:
    """Somebody's object; the StatefulSet even has our label."""
    labels = {"cadre.dev/agent": agent} if kind == "StatefulSet" else {"app": "shop"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    content: dict[str, Object] = {
        "ConfigMap": {"data": {"theirs": "yes"}},
        "Service": {"spec": {"ports": [{"port": 80}], "selector": labels}},
        "StatefulSet": {
            "spec": {"serviceName": "x", "selector": {"matchLabels": labels}, "template": template}
        },
    }
    return {"metadata": {"name": f"agent-{agent}", "labels": labels}, **content[kind]}


def test_a_part_that_lost_its_label_is_still_ours(company: Site) -> None:
    path = company.path("Service", "agent-finance-1")
    assert company.client.patch(path, {"metadata": {"labels": {"cadre.dev/agent": None}}}).status == 200
    company.wait_child("Service", "finance-1", lambda s: "cadre.dev/agent" in s["metadata"]["labels"])
    assert not company.condition("Agent", "finance-1", "Stalled")


def test_agents_of_one_name_in_two_namespaces_know_nothing_of_each_other(company: Site) -> None:
    place = other_namespace(company)
    text = (REPOSITORY / "examples" / "02-minimal" / "company.yaml").read_text()
    for obj in yaml.safe_load_all(text.replace("namespace: tiny", f"namespace: {place}")):
        found = {**obj, "metadata": {**obj["metadata"]}}
        if obj["kind"] == "Agent":
            found["metadata"]["name"] = "finance-1"
        reply = company.client.post(collection(found), found)
        assert reply.status == 201, reply.message
    workload = f"/apis/apps/v1/namespaces/{place}/statefulsets/agent-finance-1"
    wait_until("its workload", lambda: company.client.get(workload).status == 200)
    theirs, ours = company.client.get(workload).body, company.wait_child("StatefulSet", "finance-1")
    owners = [o["metadata"]["ownerReferences"][0]["uid"] for o in (theirs, ours)]
    assert owners[0] != owners[1]
    assert theirs["metadata"]["labels"]["cadre.dev/tenant"] != ours["metadata"]["labels"]["cadre.dev/tenant"]
    changed(company, "finance-1", 801)
    wait_changed(company, "finance-1", 801)
    company.client.delete(f"/apis/cadre.dev/v1alpha1/namespaces/{place}/agents/finance-1")
    changed(company, "finance-1", 802)
    wait_changed(company, "finance-1", 802)
    assert company.client.get(workload).body["spec"] == theirs["spec"]


def test_a_rotated_secret_and_even_another_one_replace_no_pod(company: Site) -> None:
    secrets = f"/api/v1/namespaces/{company.namespace}/secrets"
    before = company.wait_child("StatefulSet", "marketing-1")
    for value in ("b2xk", "bmV3"):
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "models"}, "data": {"key": value}}
        assert company.client.apply(f"{secrets}/models", body).status in (200, 201)
    reference = {"secret": {"name": "models", "key": "key"}}
    reply = company.patch("ModelProvider", "scripted", {"spec": {"credentialsRef": reference}})
    assert reply.status == 200, reply.message
    generation = reply.body["metadata"]["generation"]
    wait_until(
        "the provider to be in force",
        lambda: company.get("ModelProvider", "scripted")["status"]["observedGeneration"] == generation,
    )
    company.settle()
    after = company.wait_child("StatefulSet", "marketing-1")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_a_slow_server_that_refuses_and_cuts_costs_time_and_no_change(company: Site) -> None:
    refusals: list[float] = []

    def refuse(method: str, path: str) -> tuple[int, dict[str, str]] | None:
        if method != "PATCH" or "/statefulsets/" not in path or len(refusals) >= 3:
            return None
        refusals.append(time.monotonic())
        return 429, {"Retry-After": "1"}

    agents = ("finance-1", "marketing-1", "support-1")
    company.proxy.delay, company.proxy.refuse = 0.2, refuse
    try:
        for number, agent in enumerate(agents):
            changed(company, agent, 810 + number)
            company.proxy.cut()
        for number, agent in enumerate(agents):
            wait_changed(company, agent, 810 + number)
    finally:
        company.proxy.delay, company.proxy.refuse = 0.0, lambda _method, _path: None
    assert len(refusals) == 3
    company.settle()
    assert not any(company.condition("Agent", agent, "Stalled") for agent in agents)
