"""Figures, printed: an agent's pod beside a bare one, and an agent that sleeps until there is work."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import companies
from tests.e2e.cluster.kubectl import Kubectl, wait_for
from tests.e2e.cluster.pods import idle
from tests.e2e.cluster.release import ADMIN, Release
from tests.e2e.kind.conftest import Lab
from tests.e2e.kind.test_examples import people_of

pytestmark = [pytest.mark.timeout(1800), pytest.mark.nightly]

Json = dict[str, Any]
_COMPANY = companies.EXAMPLES / "02-minimal"
_NAMESPACE = "tiny"
_ROUNDS = 3


@pytest.fixture(scope="module")
def tiny(lab: Lab, release: Release) -> Iterator[list[Json]]:
    """02, without its agent, which is given back: a company whose model answers at once."""
    scenario = (_COMPANY / "story" / "scenario.yaml").read_text()
    address = companies.scripted_model(lab.kubectl, "tiny", lab.images["examples"], scenario)
    objects = companies.documents(_COMPANY / "company.yaml", companies.model_at(address))
    agents = [item for item in objects if item["kind"] == "Agent"]
    companies.found(lab.kubectl, (_NAMESPACE,), [item for item in objects if item["kind"] != "Agent"])
    accepted = ("roleprofiles", "helper", _NAMESPACE, "Accepted")
    wait_for("the chart is in force", lambda: companies.condition(lab.kubectl, *accepted) == "True")
    yield agents
    lab.kubectl("delete", "namespace", _NAMESPACE, "--wait=false")


def test_an_agent_is_ready_little_later_than_a_bare_pod(lab: Lab, tiny: list[Json]) -> None:
    """In turns: an Agent applied until it is Ready, and a pod of two containers of the same images."""
    kubectl = lab.kubectl
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bare"}})
    pairs = [_pair(kubectl, tiny[0], lab.images, number) for number in range(_ROUNDS)]
    kubectl("delete", "namespace", "bare", "--wait=false")
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    figures = f"agent {ours:.1f} s, bare pod {theirs:.1f} s, {ours / theirs:.2f}x"
    print(f"e2e: apply to Ready, median of {_ROUNDS}: {figures}")


def _pair(kubectl: Kubectl, agent: Json, images: dict[str, str], number: int) -> tuple[float, float]:
    name, pod = f"helper-{number}", _bare(f"bare-{number}", images)
    named = agent | {"metadata": {"name": name, "namespace": _NAMESPACE}}
    ours = _seconds(lambda: kubectl.apply_as(ADMIN, named), lambda: _ready(kubectl, name))
    theirs = _seconds(lambda: kubectl.apply(pod), lambda: _pod_ready(kubectl, f"bare-{number}"))
    kubectl(*ADMIN, "-n", _NAMESPACE, "delete", "agents.cadre.dev", name)
    return ours, theirs


def test_an_agent_wakes_for_its_work(lab: Lab, tiny: list[Json], tmp_path: Path) -> None:
    """An agent without a pod: from the task's creation until its model is asked."""
    kubectl = lab.kubectl
    asleep = tiny[0]["spec"] | {"scaling": {"min": 0, "max": 1}}
    agent = tiny[0] | {"metadata": {"name": "sleeper-1", "namespace": _NAMESPACE}, "spec": asleep}
    kubectl.apply_as(ADMIN, agent)
    wait_for(
        "it is accepted",
        lambda: companies.condition(kubectl, "agents", "sleeper-1", _NAMESPACE, "Accepted") == "True",
    )
    people = people_of(lab, _NAMESPACE, tmp_path)
    made = people.json("ada", "task", "run", "--agent", "sleeper-1", "Please thank Nora Quist.")
    assert people.json("ada", "task", "watch", made["id"], "--timeout", "240")["state"] == "Succeeded"
    asked = json.loads(companies.model_saw(kubectl, "tiny"))[-1]["at"]
    created = datetime.fromisoformat(made["createdAt"]).timestamp()
    print(f"e2e: woken from zero, from the task to the model's first request: {asked - created:.1f} s")


def _seconds(act: Callable[[], object], done: Callable[[], bool]) -> float:
    start = time.monotonic()
    act()
    wait_for("it is ready", done, 300)
    return time.monotonic() - start


def _ready(kubectl: Kubectl, agent: str) -> bool:
    return companies.condition(kubectl, "agents", agent, _NAMESPACE, "Ready") == "True"


def _pod_ready(kubectl: Kubectl, name: str) -> bool:
    status = kubectl.get("pod", name, "-n", "bare")["status"]
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))


def _bare(name: str, images: dict[str, str]) -> Json:
    made = idle(name, "bare", images["guard"])
    first = made["spec"]["containers"][0]
    made["spec"]["containers"].append(first | {"name": "agent", "image": images["agent"]})
    return made
