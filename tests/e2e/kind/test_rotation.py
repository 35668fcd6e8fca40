"""A credential is replaced while a turn runs: the next call carries the new one, and nothing is restarted."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import companies
from tests.e2e.cluster.acme import STAND_INS
from tests.e2e.cluster.kubectl import Kubectl, wait_for
from tests.e2e.cluster.pods import pod
from tests.e2e.cluster.release import CREDENTIALS, NAMESPACE, Release
from tests.e2e.kind.conftest import Lab
from tests.e2e.kind.test_examples import people_of

pytestmark = [pytest.mark.timeout(1800), pytest.mark.nightly]

Json = dict[str, Any]
_COMPANY, _MODEL = "vault", "keyed"
_SERVER = """
import http.server as h, json, os, time
seen = []
class Model(h.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(json.dumps(seen).encode())
    def do_POST(self):
        asked = self.rfile.read(int(self.headers['Content-Length'])).decode()
        seen.append(self.headers.get('Authorization', ''))
        self.send_response(200); self.send_header('Content-Type', 'text/event-stream'); self.end_headers()
        slow = 'slowly' in asked and not os.path.exists('/tmp/enough')
        self.say({'role': 'assistant', 'content': 'Dear '}, None)
        while slow and not os.path.exists('/tmp/enough'):
            time.sleep(1); self.say({'content': 'friend '}, None)
        self.say({}, 'stop'); self.wfile.write(b'data: [DONE]\\n\\n')
    def say(self, delta, end):
        choice = {'index': 0, 'delta': delta, 'finish_reason': end}
        head = {'id': '1', 'object': 'chat.completion.chunk', 'model': 'm', 'created': 0}
        chunk = head | {'choices': [choice]}
        self.wfile.write(b'data: ' + json.dumps(chunk).encode() + b'\\n\\n'); self.wfile.flush()
h.ThreadingHTTPServer(('0.0.0.0', 8080), Model).serve_forever()
"""


def test_a_rotated_credential_is_used_and_no_agent_restarts(
    lab: Lab, release: Release, tmp_path: Path
) -> None:
    """The turn that runs ends well; the next one asks with the new key, from the same pods."""
    kubectl = lab.kubectl
    _put(kubectl, "first")
    _found(lab)
    people = people_of(lab, _COMPANY, tmp_path)
    before = _pods(kubectl)
    # the kubelet looks after a Secret that was made later in its own time
    wait_for("every controller has the first key", lambda: _mounted(kubectl) == {"first"}, 300)
    letter = people.json("ada", "task", "run", "--agent", "helper-1", "Write slowly.")["id"]
    wait_for("the model is asked with the first key", lambda: _keys(kubectl) == {"Bearer first"}, 240)
    _put(kubectl, "second")
    wait_for("every controller has the second key", lambda: _mounted(kubectl) == {"second"}, 300)
    _in_model(kubectl, "touch", "/tmp/enough")
    assert people.json("ada", "task", "watch", letter, "--timeout", "240")["state"] == "Succeeded"
    note = people.json("ada", "task", "run", "--agent", "helper-1", "Write a note.")["id"]
    assert people.json("ada", "task", "watch", note, "--timeout", "240")["state"] == "Succeeded"
    assert _keys(kubectl) == {"Bearer first", "Bearer second"}
    assert _pods(kubectl) == before
    kubectl("delete", "namespace", _COMPANY, "--wait=false")


def _found(lab: Lab) -> None:
    """The smallest company, with a model that streams until it is told to end and keeps the keys it saw."""
    kubectl = lab.kubectl
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": STAND_INS, "labels": labels}
    service = {"selector": {"app": _MODEL}, "ports": [{"port": 8080}]}
    model = pod(_MODEL, STAND_INS, lab.images["examples"], ["python", "-c", _SERVER])
    model["spec"]["restartPolicy"] = "Always"
    kubectl.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": _MODEL, "namespace": STAND_INS},
            "spec": service,
        },
        model,
    )
    kubectl("-n", STAND_INS, "wait", "--for=condition=Ready", f"pod/{_MODEL}", "--timeout=240s")
    objects = companies.documents(companies.EXAMPLES / "02-minimal" / "company.yaml", _keyed)
    companies.found(kubectl, (_COMPANY,), objects)
    companies.wait_ready(kubectl, "helper-1", _COMPANY)


def _keyed(document: Json) -> None:
    document["metadata"]["namespace"] = _COMPANY
    if document["kind"] == "Person":
        document["spec"]["identity"]["issuer"] = f"https://idp.{_COMPANY}.example"
    if document["kind"] == "ModelProvider":
        del document["spec"]["ollama"]
        document["spec"]["openai"] = {"baseURL": f"http://{_MODEL}.{STAND_INS}.svc:8080/v1"}
        document["spec"]["credentialsRef"] = {"secret": {"name": CREDENTIALS, "key": "apiKey"}}


def _put(kubectl: Kubectl, key: str) -> None:
    metadata = {"name": CREDENTIALS, "namespace": NAMESPACE}
    kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"apiKey": key}})


def _keys(kubectl: Kubectl) -> set[str]:
    code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/').read().decode())"
    return set(json.loads(_in_model(kubectl, "python", "-c", code)))


def _in_model(kubectl: Kubectl, *command: str) -> str:
    return kubectl("-n", STAND_INS, "exec", _MODEL, "--", *command)


def _mounted(kubectl: Kubectl) -> set[str]:
    file = f"/etc/cadre/credentials/{CREDENTIALS}/apiKey"
    names = [name for name in _pods(kubectl) if name.startswith("cadre-controller")]
    read = f"import pathlib; p = pathlib.Path('{file}'); print(p.read_text() if p.exists() else '')"
    return {kubectl("-n", NAMESPACE, "exec", name, "--", "python", "-c", read).strip() for name in names}


def _pods(kubectl: Kubectl) -> dict[str, tuple[str, int]]:
    """Everything that answers for this company: name -> its identity and its restarts."""
    found = {}
    for namespace, label in (
        (NAMESPACE, "app.kubernetes.io/name=cadre-controller"),
        (_COMPANY, "cadre.dev/agent"),
    ):
        for item in kubectl.get("pods", "-n", namespace, "-l", label)["items"]:
            status = item["status"]
            every = status.get("containerStatuses", []) + status.get("initContainerStatuses", [])
            restarts = sum(int(container["restartCount"]) for container in every)
            found[str(item["metadata"]["name"])] = (str(item["metadata"]["uid"]), restarts)
    return found
