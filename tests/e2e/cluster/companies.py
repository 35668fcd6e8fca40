"""The smaller examples on a cluster: each in a namespace of its own, with a scripted model that is a pod."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.cluster.acme import STAND_INS
from tests.e2e.cluster.kubectl import Kubectl, wait_for
from tests.e2e.cluster.pods import pod
from tests.e2e.cluster.release import ADMIN
from tests.e2e.cluster.steps import REPOSITORY

Json = dict[str, Any]

EXAMPLES = REPOSITORY / "examples"
_PORT = 8080
_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
_AGENTS = {"cadre.dev/agents": "true", **_RESTRICTED}


def scripted_model(kubectl: Kubectl, name: str, image: str, scenario: str) -> str:
    """A pod that plays a scenario; the address of its Service."""
    metadata = {"name": name, "namespace": STAND_INS}
    play = ["serve", "--listen", f"0.0.0.0:{_PORT}", "--scenario", "/scenario/scenario.yaml"]
    model = pod(name, STAND_INS, image, ["python", "-m", "cadre_scripted", *play])
    model["spec"]["volumes"].append({"name": "scenario", "configMap": {"name": name}})
    model["spec"]["containers"][0]["volumeMounts"].append({"name": "scenario", "mountPath": "/scenario"})
    model["spec"]["restartPolicy"] = "Always"
    kubectl.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": STAND_INS, "labels": _RESTRICTED}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"scenario.yaml": scenario}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"app": name}, "ports": [{"port": _PORT}]},
        },
        model,
    )
    kubectl("-n", STAND_INS, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=240s")
    return f"http://{name}.{STAND_INS}.svc:{_PORT}"


def model_saw(kubectl: Kubectl, name: str) -> str:
    """Every request that a scripted model got since it started."""
    url = f"http://127.0.0.1:{_PORT}/__scripted__/requests"
    code = f"import urllib.request as u; print(u.urlopen('{url}').read().decode())"
    return kubectl("-n", STAND_INS, "exec", name, "--", "python", "-c", code)


def documents(path: Path, change: Callable[[Json], None] = lambda _: None) -> list[Json]:
    """The objects of a file of an example, as its reader would adapt them."""
    found: list[Json] = list(yaml.safe_load_all(path.read_text()))
    for document in found:
        change(document)
    return found


def model_at(address: str) -> Callable[[Json], None]:
    """Let an example's provider be a scripted model."""

    def change(document: Json) -> None:
        spec = document["spec"]
        if "openai" in spec:
            spec["openai"]["baseURL"] = f"{address}/v1"
        if "ollama" in spec:
            spec["ollama"]["baseURL"] = address

    return change


def found(kubectl: Kubectl, namespaces: tuple[str, ...], objects: list[Json]) -> None:
    """Make namespaces for agents, and a company in them, as an admin."""
    for name in namespaces:
        metadata = {"name": name, "labels": _AGENTS}
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    kubectl.apply_as(ADMIN, *objects)


def condition(kubectl: Kubectl, kind: str, name: str, namespace: str, wanted: str) -> str:
    """A condition's status of an object; empty while it has none."""
    status = kubectl.get(f"{kind}.cadre.dev", name, "-n", namespace).get("status", {})
    held = {item["type"]: str(item["status"]) for item in status.get("conditions", [])}
    return held.get(wanted, "")


def wait_ready(kubectl: Kubectl, agent: str, namespace: str, seconds: float = 240) -> None:
    """Wait until an agent is Ready; tell the namespace's state if it never is."""
    try:
        wait_for(
            f"{agent} is Ready",
            lambda: condition(kubectl, "agents", agent, namespace, "Ready") == "True",
            seconds,
        )
    except TimeoutError:
        print(kubectl.state_of(namespace))
        raise
