"""The example 01-acme on a cluster: its own files, with model and ledger where pods can reach them."""

from pathlib import Path
from typing import Any

import yaml

from tests.e2e.cluster.pods import pod
from tests.e2e.cluster.steps import FILES, REPOSITORY

Json = dict[str, Any]

EXAMPLE = REPOSITORY / "examples" / "01-acme"
NAMESPACE = "acme"
STAND_INS = "stand-ins"
MODEL_PORT, LEDGER_PORT = 8080, 8081


def resources() -> list[Json]:
    """The example's resources; only addresses differ from what is in its files."""
    found: list[Json] = []
    for path in sorted(EXAMPLE.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            found += [_moved(document) for document in yaml.safe_load_all(path.read_text()) if document]
    return found


def stand_ins(image: str) -> list[Json]:
    """The scripted model and the ledger as pods with Services, in a namespace of their own."""
    configuration = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "ledger", "namespace": STAND_INS},
        "data": {"ledger_http.py": (FILES / "ledger_http.py").read_text()},
    }
    scenario = "/opt/examples/01-acme/story/scenario.yaml"
    listen = f"0.0.0.0:{MODEL_PORT}"
    model = ["python", "-m", "cadre_scripted", "serve", "--scenario", scenario, "--listen", listen]
    ledger = _with_file(pod("ledger", STAND_INS, image, ["python", "/code/ledger_http.py"]))
    pods = [pod("scripted", STAND_INS, image, model), ledger]
    return [configuration, *pods, _service("scripted", MODEL_PORT), _service("ledger", LEDGER_PORT)]


def controller_egress() -> list[Json]:
    """What the chart's `networkPolicies.controllerEgress` must allow for the stand-ins."""
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": STAND_INS}}}
    ports = [{"protocol": "TCP", "port": port} for port in (MODEL_PORT, LEDGER_PORT)]
    return [{"ports": ports, "to": [peer]}]


def story_path() -> Path:
    """What the people of the story ask."""
    return EXAMPLE / "story" / "request.yaml"


def _moved(document: Json) -> Json:
    name = (document["kind"], document["metadata"]["name"])
    if name == ("ModelProvider", "scripted"):
        document["spec"]["openai"]["baseURL"] = f"http://scripted.{STAND_INS}.svc:{MODEL_PORT}/v1"
    elif name == ("ToolServer", "ledger"):
        del document["spec"]["stdio"]
        document["spec"]["http"] = {"url": f"http://ledger.{STAND_INS}.svc:{LEDGER_PORT}/mcp"}
    return document


def _with_file(described: Json) -> Json:
    spec = described["spec"]
    spec["volumes"].append({"name": "code", "configMap": {"name": "ledger"}})
    spec["containers"][0]["volumeMounts"].append({"name": "code", "mountPath": "/code", "readOnly": True})
    return described


def _service(name: str, port: int) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": STAND_INS},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
    }
