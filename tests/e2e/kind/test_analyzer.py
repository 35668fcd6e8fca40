"""One analyzer reads for all guards of a machine: switched on, sealed, and nothing leaves without it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.cluster import companies
from tests.e2e.cluster.kubectl import Kubectl, wait_for
from tests.e2e.cluster.people import People
from tests.e2e.cluster.pods import idle
from tests.e2e.cluster.release import NAMESPACE, Release
from tests.e2e.kind.conftest import Lab, wanted
from tests.e2e.kind.test_examples import people_of

pytestmark = [pytest.mark.timeout(1800), pytest.mark.nightly]

Json = dict[str, Any]
_COMPANY, _NAME = "reading", "cadre-analyzer"
_EXAMPLE = companies.EXAMPLES / "02-minimal"
_ASKED, _PERSON = "Please thank Nora Quist.", "Nora Quist"
_GLASS = ("--as=on-call", "--as-group=system:masters", "--as-group=cadre:break-glass")
_NOWHERE = {"cadre.dev/e2e": "no-such-machine"}
_SHOW_TOKENS = """
import json, os, ssl, sys, urllib.error, urllib.request as web
trust = ssl.create_default_context(cafile=os.environ['CADRE_CA_FILE'])
def ask(url, body, token):
    headers = {'Content-Type': 'application/json'} | ({'Authorization': f'Bearer {token}'} if token else {})
    try:
        with web.urlopen(web.Request(url, json.dumps(body).encode(), headers), context=trust) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
account = open(os.environ['CADRE_BOOTSTRAP_FILE']).read().strip()
proof = {'bootstrap': account, 'agent': os.environ['CADRE_AGENT'], 'instance': sys.argv[1]}
_, given = ask(os.environ['CADRE_CONTROLLER'] + '/guard/v1/token', proof, '')
tokens = {'none': '', 'account': account, 'controller': given['token'], 'analyzer': given['analyzerToken']}
scan = os.environ['CADRE_ANALYZER_URL'] + '/analyzer/v1/scan'
body = {'configuration': '0' * 64, 'texts': [['a text', True]]}
print(json.dumps({name: ask(scan, body, token)[1]['reason'] for name, token in tokens.items()}))
"""


@pytest.fixture(scope="module")
def readers(lab: Lab, release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """The release with its analyzer on; 02 with two agents, of whom `helper-1` has its texts read there."""
    kubectl = lab.kubectl
    release.install(replace(wanted(lab), analyzer=True))
    scenario = (_EXAMPLE / "story" / "scenario.yaml").read_text()
    address = companies.scripted_model(kubectl, _COMPANY, lab.images["examples"], scenario)
    objects = companies.documents(_EXAMPLE / "company.yaml", companies.model_at(address))
    for item in objects:
        item["metadata"]["namespace"] = _COMPANY
        if item["kind"] == "Person":
            item["spec"]["identity"]["issuer"] = f"https://idp.{_COMPANY}.example"
    agent = objects.pop()
    shared = {**agent, "spec": {**agent["spec"], "analyzer": "Node"}}
    alone = {**agent, "metadata": {**agent["metadata"], "name": "helper-2"}}
    companies.found(kubectl, (_COMPANY,), [*objects, shared, alone])
    for name in ("helper-1", "helper-2"):
        companies.wait_ready(kubectl, name, _COMPANY)
    yield people_of(lab, _COMPANY, tmp_path_factory.mktemp("readers"))
    kubectl("delete", "namespace", _COMPANY, "--wait=false")


def test_it_reads_what_an_agent_asks_its_model(lab: Lab, readers: People) -> None:
    """The guard loads no model of its own; who is named reaches the person, and the model saw a code."""
    kubectl = lab.kubectl
    assert _read(kubectl) == 0
    ended = _task(readers)
    assert (ended["state"], _PERSON in ended["result"]) == ("Succeeded", True)
    assert _read(kubectl) > 0
    assert _PERSON not in companies.model_saw(kubectl, _COMPANY)
    [guard] = kubectl.get("pod", "agent-helper-1-0", "-n", _COMPANY)["spec"]["initContainers"]
    assert guard["resources"]["requests"]["memory"] == "96Mi"


def test_only_guards_that_need_it_reach_it(lab: Lab, readers: People) -> None:
    """Neither a stranger's pod nor an agent with an analyzer of its own has a way there."""
    kubectl = lab.kubectl
    address = str(kubectl.get("service", _NAME, "-n", NAMESPACE)["spec"]["clusterIP"])
    with kubectl.namespace("neighbour") as namespace:
        stranger, labelled = idle("stranger", namespace), idle("labelled", namespace)
        labelled["metadata"]["labels"]["app.kubernetes.io/name"] = "cadre-agent"
        kubectl.apply(stranger, labelled)
        kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
        knock = ("--", "nc", "-w", "5", address, "7442", "-e", "true")
        reach = {name: ("-n", namespace, "exec", name, *knock) for name in ("stranger", "labelled")}
        wait_for("it answers who looks like an agent", lambda: kubectl.succeeds(*reach["labelled"]))
        wait_for("it does not answer a stranger", lambda: not kubectl.succeeds(*reach["stranger"]))
    connect = ("--", "timeout", "5", "bash", "-c", f"exec 3<>/dev/tcp/{address}/7442")
    agents = {name: (f"agent-{name}-0", "-c", "agent", *connect) for name in ("helper-1", "helper-2")}
    assert kubectl.succeeds(*_GLASS, "-n", _COMPANY, "exec", *agents["helper-1"])
    assert not kubectl.succeeds(*_GLASS, "-n", _COMPANY, "exec", *agents["helper-2"])


def test_nothing_leaves_while_it_is_away(lab: Lab, readers: People) -> None:
    """Its pod is replaced: work waits, and goes on. It is gone: work fails, the model is not asked."""
    kubectl = lab.kubectl
    kubectl("-n", NAMESPACE, "delete", "pod", "-l", f"app.kubernetes.io/name={_NAME}", "--wait=false")
    assert _task(readers)["state"] == "Succeeded"
    _place(kubectl, _NOWHERE)
    wait_for("it is gone", lambda: not _pods(kubectl), 180)
    before = companies.model_saw(kubectl, _COMPANY)
    ended = _task(readers)
    assert (ended["state"], companies.model_saw(kubectl, _COMPANY)) == ("Failed", before)
    assert "AnalyzerAway" in readers.done("ada", "audit", "list", "--limit", "200", "-o", "json")
    _place(kubectl, None)
    kubectl("-n", NAMESPACE, "rollout", "status", f"daemonset/{_NAME}", "--timeout=240s")
    assert _task(readers)["state"] == "Succeeded"


def test_it_takes_no_token_but_its_own(lab: Lab, readers: People) -> None:
    """The pod's account and the guard's token for the controller open nothing there.

    Last, as asking for tokens beside the guard retires it.
    """
    pod = lab.kubectl.get("pod", "agent-helper-1-0", "-n", _COMPANY)
    show = ("python", "-c", _SHOW_TOKENS, str(pod["metadata"]["uid"]))
    told = lab.kubectl(*_GLASS, "-n", _COMPANY, "exec", "agent-helper-1-0", "-c", "guard", "--", *show)
    refused = dict.fromkeys(("none", "account", "controller"), "InvalidToken")
    assert json.loads(told) == {**refused, "analyzer": "UnknownConfiguration"}


def _task(people: People) -> Json:
    made = people.json("ada", "task", "run", "--agent", "helper-1", _ASKED)["id"]
    ended: Json = json.loads(
        people.cadre("ada", "task", "watch", made, "--timeout", "240", "-o", "json").stdout
    )
    return ended


def _pods(kubectl: Kubectl) -> list[str]:
    found = kubectl.get("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/name={_NAME}")["items"]
    return [str(pod["metadata"]["name"]) for pod in found]


def _place(kubectl: Kubectl, machines: dict[str, str] | None) -> None:
    patch = json.dumps({"spec": {"template": {"spec": {"nodeSelector": machines}}}})
    kubectl("-n", NAMESPACE, "patch", "daemonset", _NAME, "--type=merge", "--patch", patch)


def _read(kubectl: Kubectl) -> float:
    """Characters that its pods have read since they started."""
    total = 0.0
    for pod in _pods(kubectl):
        told = kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics")
        name = "cadre_analyzer_characters_scanned_total "
        total += sum(float(line.removeprefix(name)) for line in told.splitlines() if line.startswith(name))
    return total
