"""`kubectl cadre` as people use it, against a real API server, operator and controller."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.integration.cli.kubelet import tls_front
from tests.integration.cli.town import NODE, Town
from tests.support.certs import Authority
from tests.support.kube import wait_until

pytestmark = [
    pytest.mark.kube,
    pytest.mark.postgres,
    # the Kubernetes client leaves the sockets of a port-forward to the end of the process
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
AGENT = """
apiVersion: cadre.dev/v1alpha1
kind: Agent
metadata: {name: finance-2}
spec:
  nodeRef: {name: finance}
  profileRef: {name: analyst}
  ownerRef: {name: m-ruiz}
  purpose: Reports.
  lifecycle: Suspended
"""


def cached(town: Town) -> list[Path]:
    return list((town.site.folder / "cache" / "cadre" / "login").glob("*.json"))


def test_one_signs_in_by_certificate_and_stays_so(town: Town) -> None:
    assert town.done("login", "--forget")
    found = town.json("whoami")
    assert found["person"] == f"{town.site.namespace}/m-ruiz" and found["tenant"] == "acme"
    (file,) = [file for file in cached(town) if json.loads(file.read_text())["person"] == found["person"]]
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    assert town.json("whoami")["expiresAt"] == found["expiresAt"]
    assert town.kubelet.asked and set(town.kubelet.asked) == {"cadre-controller-0"}


def test_a_token_that_no_longer_counts_is_renewed(town: Town) -> None:
    town.done("login", "--forget")
    town.done("whoami")
    (file,) = cached(town)
    known = json.loads(file.read_text())
    file.write_text(json.dumps({**known, "token": known["token"][:-4] + "AAAA"}))
    assert town.json("get", "tasks") == {"items": []}
    assert json.loads(file.read_text())["token"] not in ("", known["token"][:-4] + "AAAA")


def test_whom_the_chart_does_not_know_is_told_what_to_do(town: Town) -> None:
    result = town.cadre("whoami", as_="stranger")
    assert result.returncode == 1
    assert "NoPerson" in result.stderr and "ask a tenant admin to add a Person" in result.stderr


def test_a_controller_that_cannot_prove_itself_gets_nothing(town: Town) -> None:
    name = f"cadre-controller.{town.site.namespace}.svc"
    impostor = Authority.create(town.site.folder / "impostor").server(name)
    true = town.kubelet.target
    with tls_front(impostor, town.controller) as town.kubelet.target:
        result = town.cadre("get", "tasks")
    town.kubelet.target = true
    assert result.returncode == 3
    assert "UntrustedController" in result.stderr and "do not go on" in result.stderr


def test_a_controller_that_is_not_ready_is_named(town: Town) -> None:
    path = f"/api/v1/namespaces/{town.site.namespace}/pods/cadre-controller-0/status"
    town.site.client.patch(path, {"status": {"conditions": [{"type": "Ready", "status": "False"}]}})
    try:
        away, tree = town.cadre("get", "tasks"), town.done("status")
    finally:
        town.site.client.patch(path, {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    assert away.returncode == 3 and "ControllerAbsent" in away.stderr
    assert "does not answer" in tree and "finance-1" in tree


def test_doctor_finds_everything_in_order(town: Town) -> None:
    checks = town.json("doctor")["checks"]
    assert {check["result"] for check in checks} == {"Ok"}, checks
    assert len(checks) == 10


def test_status_is_the_chart_with_what_lives_in_it(town: Town) -> None:
    task = town.done("task", "run", "--agent", "finance-1", "Count the lamps.").split()[0]
    found = {agent["key"].partition("/")[2]: agent for agent in town.json("status")["agents"]}
    assert found["finance-1"]["tasks"]["queued"] == 1 and found["finance-1"]["phase"] == "Starting"
    tree = town.done("status")
    lines = tree.splitlines()
    depth = [
        line.find(name)
        for line in lines
        for name in ("Acme Org", "Corporate", "Finance", "finance-1")
        if name in line
    ]
    assert depth == sorted(depth) and len(depth) == 4
    assert "answers, you are" in tree and "1 queued" in tree
    assert town.json("task", "cancel", task)["state"] in ("Cancelled", "Cancelling")


def test_resources_in_every_format(town: Town) -> None:
    names = town.done("get", "cdnode", "-o", "name").split()
    assert "orgnode.cadre.dev/finance" in names and len(names) == 13
    found = yaml.safe_load(town.done("get", "agent", "finance-1", "-o", "yaml"))
    assert found["kind"] == "Agent" and found["status"]["profile"] == "finance"
    table = town.done("get", "agents", "-w")
    assert re.search(r"finance-1 +finance +finance +\S+ +\S+ +m-ruiz +scripted/scripted +Mask", table)
    missing = town.cadre("get", "agent", "finance-9")
    assert missing.returncode == 1 and "there are: analyst-1," in missing.stderr
    elsewhere = town.cadre("get", "agents", "-n", "nowhere")
    assert "no agents" in elsewhere.stdout and "-A lists all" in elsewhere.stderr


def test_describe_tells_conditions_and_work(town: Town) -> None:
    text = town.done("describe", "agent", "hr-1")
    for part in (
        f"Agent {town.site.namespace}/hr-1",
        "phase Suspended",
        "Conditions",
        "Accepted",
        "owner s-marino",
    ):
        assert part in text


def test_plan_then_apply_then_nothing_to_do(town: Town, tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(AGENT)
    before = town.cadre("plan", "-f", str(file), "--detailed-exitcode")
    assert (
        before.returncode == 2 and "Added     " in before.stdout and "1 agent to change, 6" in before.stdout
    )
    assert "tool builtin:Mesh/notify" in before.stdout
    assert "finance-2 created (dry run)" in town.done("apply", "-f", str(file), "--dry-run")
    assert "finance-2 created" in town.done("apply", "-f", str(file))
    assert town.json("apply", "-f", str(file))["items"][0]["outcome"] == "unchanged"
    after = town.cadre("plan", "-f", str(file), "--detailed-exitcode")
    assert after.returncode == 0 and "0 agents to change" in after.stdout
    file.write_text(AGENT.replace("finance-2", "other-1").replace("name: finance}", "name: legal}"))
    refused = town.cadre("apply", "-f", str(file))
    assert refused.returncode == 1
    assert (
        "other-1 refused" in refused.stdout
        and "NotEntitled" in refused.stdout
        and "d-okafor" in refused.stdout
    )


def test_a_file_with_a_mistake_is_refused_with_its_line(town: Town, tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(AGENT.replace("purpose", "porpoise"))
    result = town.cadre("apply", "-f", str(file))
    assert (
        result.returncode == 1
        and "agent.yaml:9: " in result.stderr
        and "there is no such field" in result.stderr
    )


def test_suspend_and_resume(town: Town) -> None:
    assert "Suspended" in town.done("suspend", "marketing-1", as_="j-gross")
    refused = town.cadre("resume", "marketing-1", as_="m-ruiz")
    assert refused.returncode == 1 and "NotEntitled" in refused.stderr
    late = town.cadre("resume", "marketing-1", "--timeout", "0.1", as_="j-gross")
    assert late.returncode == 6 and "describe agent" in late.stderr
    town.site.wait_child("StatefulSet", "marketing-1", lambda s: s["spec"]["replicas"] == 1)
    town.site.kubelet("marketing-1")
    assert "now Idle" in town.done("resume", "marketing-1", as_="j-gross")


def test_freeze_stops_one_a_unit_or_all_and_thaw_lets_them_go_on(town: Town) -> None:
    assert town.done("freeze", "list").strip() == "nothing is frozen"
    assert "finance-1" in town.done("freeze", "agent", "finance-1", "-m", "an audit", as_="h-keller")
    (entry,) = town.json("freeze", "list")["items"]
    assert (entry["scope"], entry["reason"], entry["by"].partition("/")[2]) == (
        "Agent",
        "an audit",
        "h-keller",
    )
    town.site.wait_condition("Agent", "finance-1", "Ready", "False", "Frozen")
    refused = town.cadre("thaw", "agent", "finance-1", as_="m-ruiz")
    assert refused.returncode == 1 and "NotEntitled" in refused.stderr
    assert "thawed" in town.done("thaw", "agent", "finance-1", as_="h-keller")
    agent = town.site.path("Agent", "finance-1")
    wait_until(
        "the cluster to forget it", lambda: town.site.client.get(agent).body["status"]["phase"] != "Frozen"
    )
    assert "finance-1" in town.done("freeze", "node", "finance", "-m", "a leak", as_="h-keller")
    town.done("thaw", "node", "finance", as_="h-keller")
    refused = town.cadre("freeze", "tenant", "-m", "no more", as_="m-ruiz")
    assert refused.returncode == 1 and "use break-glass" in refused.stderr
    town.done("freeze", "tenant", "-m", "an emergency", "--break-glass", as_="m-ruiz")
    shown = town.done("freeze", "list")
    assert "break-glass" in shown and "an emergency" in shown and "m-ruiz" in shown
    town.done("thaw", "tenant", as_="a-lindqvist")


def test_logs_come_from_the_pods(town: Town) -> None:
    none = town.cadre("logs", "hr-1")
    assert none.returncode == 1 and "NoPods" in none.stderr
    town.kubelet.lines[:] = [f"line {number}" for number in range(9)]
    metadata = {"name": "agent-legal-1-0", "labels": {"cadre.dev/agent": "legal-1"}}
    spec = {"nodeName": NODE, "containers": [{"name": "agent", "image": "registry.invalid/cadre"}]}
    spec["containers"].append({"name": "guard", "image": "registry.invalid/cadre"})
    agent = yaml.safe_load(AGENT.replace("finance-2", "legal-1"))
    agent["metadata"]["namespace"] = town.site.namespace
    assert town.site.client.post(town.site.path("Agent", "x").rpartition("/")[0], agent).status == 201
    town.site.client.post(
        f"/api/v1/namespaces/{town.site.namespace}/pods", {"metadata": metadata, "spec": spec}
    )
    assert town.done("logs", "legal-1", "--tail", "2", as_="root").splitlines() == [
        "guard: line 7",
        "guard: line 8",
    ]
    followed = town.done("logs", "legal-1", "-c", "agent", "--tail", "1", "-f", as_="root")
    assert followed.splitlines() == ["agent: line 8", "and more"]
    forbidden = town.cadre("logs", "legal-1", as_="m-ruiz")
    assert forbidden.returncode == 1 and "pods/log" in forbidden.stderr


def test_a_plugin_of_the_kubeconfig_signs_in(town: Town) -> None:
    token = town.site.server.users["admin"]
    status = {"token": token, "expirationTimestamp": "2099-01-01T00:00:00Z"}
    version = "client.authentication.k8s.io/v1"
    answer = json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})
    plugin = {"apiVersion": version, "command": sys.executable, "args": ["-c", f"print({answer!r})"]}
    credentials: dict[str, object] = {"exec": {**plugin, "interactiveMode": "Never"}}
    file = town.site.folder / "kubeconfig.plugin"
    town.site.server.write_kubeconfig_of(file, "plugin", credentials, town.site.namespace)
    assert "finance" in town.done("get", "nodes", "--kubeconfig", str(file))
    town.done("whoami", "--context", "test")
    unknown = town.cadre("get", "nodes", "--context", "nope")
    assert unknown.returncode == 2 and "one of: test" in unknown.stderr


def test_on_a_cluster_nobody_is_chosen_by_name(town: Town) -> None:
    result = town.cadre("get", "agents", "--as", "h-keller")
    assert result.returncode == 2 and "--as is for a desktop" in result.stderr
    assert town.cadre("up", "-f", ".").returncode == 2


def test_ctrl_c_ends_a_watch_in_one_word(town: Town) -> None:
    task = town.done("task", "run", "--agent", "finance-1", "Count again.").split()[0]
    command = [sys.executable, "-m", "cadre_local.cli.main", "task", "watch", task]
    process = subprocess.Popen(
        command, env=town.environ("m-ruiz"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and "Created" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors.strip() == "interrupted"
