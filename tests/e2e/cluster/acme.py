"""The example 01-acme on a cluster, as its kustomization has it, and what its people and stand-ins know."""

import json
from typing import Any

import yaml

from tests.e2e.cluster.kubectl import Kubectl
from tests.e2e.cluster.steps import REPOSITORY

Json = dict[str, Any]

EXAMPLE = REPOSITORY / "examples" / "01-acme"
NAMESPACE = "acme"
STAND_INS = "stand-ins"
AGENTS = 6
_MODEL_PORT, _LEDGER_PORT = 8080, 8081
_IMAGE = "cadre/examples:0.1.0"


def apply_stand_ins(kubectl: Kubectl, image: str) -> None:
    """The scripted model and the ledger as pods with Services, in a namespace of their own."""
    text = kubectl("kustomize", str(EXAMPLE.parent / "stand-ins"))
    kubectl("apply", "-f", "-", stdin=text.replace(_IMAGE, image))
    kubectl("-n", STAND_INS, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=240s")


def controller_egress() -> list[Json]:
    """What the chart's `networkPolicies.controllerEgress` must allow for the stand-ins."""
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": STAND_INS}}}
    ports = [{"protocol": "TCP", "port": port} for port in (_MODEL_PORT, _LEDGER_PORT)]
    return [{"ports": ports, "to": [peer]}]


def ready(kubectl: Kubectl) -> bool:
    """Whether every agent is Ready, or Suspended as it wishes."""
    agents = kubectl.get("agents.cadre.dev", "-n", NAMESPACE)["items"]
    return len(agents) == AGENTS and all(_settled(agent) for agent in agents)


def story(name: str) -> Json:
    """What the people of the story ask, and who decides."""
    found: Json = yaml.safe_load((EXAMPLE / "story" / "request.yaml").read_text())[name]
    return found


def booked(kubectl: Kubectl) -> list[Json]:
    """What the ledger's book holds, oldest first."""
    code = (
        "import json, sqlite3; b = sqlite3.connect('/tmp/ledger.db'); b.row_factory = sqlite3.Row; "
        "print(json.dumps([dict(r) for r in b.execute('select * from entries order by id')]))"
    )
    found: list[Json] = json.loads(kubectl("-n", STAND_INS, "exec", "ledger", "--", "python", "-c", code))
    return found


def _settled(agent: Json) -> bool:
    conditions = agent.get("status", {}).get("conditions", [])
    held = {condition["type"]: condition["status"] for condition in conditions}
    suspended = agent["spec"].get("lifecycle") == "Suspended"
    return held.get("Accepted") == "True" and (suspended or held.get("Ready") == "True")
