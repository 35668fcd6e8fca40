"""When nothing happens, nothing is written; and what there is looks finished to those who wait for it."""

import os
import time
from collections.abc import Mapping
from typing import Any

import pytest

from cadre_api.v1alpha1 import KINDS
from tests.e2e.cluster import acme
from tests.e2e.cluster.kubectl import Kubectl, wait_for
from tests.e2e.cluster.people import People
from tests.e2e.kind.conftest import Lab
from tests.integration.chart.test_health import health
from tests.support import gobuild

pytestmark = pytest.mark.timeout(1800)

Json = dict[str, Any]
_SECONDS = float(os.environ.get("E2E_QUIET_SECONDS", "60"))
_CHILDREN = (
    "statefulsets,services,serviceaccounts,networkpolicies,configmaps,poddisruptionbudgets,secrets,"
    "roles,rolebindings"
)


@pytest.mark.nightly
def test_a_quiet_company_is_left_alone(lab: Lab, company: People) -> None:
    """No object of the company or of its agents is written, no event recorded: versions stay as they are."""
    kubectl = lab.kubectl
    wait_for("every agent is Ready", lambda: acme.ready(kubectl), 180)
    # a node's count is written at most every five minutes
    wait_for("every node has counted its agents", lambda: _counted(kubectl), 420)
    wait_for("what came before has come to rest", lambda: _still(kubectl, 10.0), 300)
    before = _versions(kubectl)
    time.sleep(_SECONDS)
    assert _changed(before, _versions(kubectl)) == []


def test_each_kind_is_current_and_healthy(lab: Lab, company: People) -> None:
    """By kstatus' rules every object is Current or suspended on purpose; Argo CD's health says the same."""
    wait_for("every agent is Ready", lambda: acme.ready(lab.kubectl), 180)
    objects = [item for kind in KINDS for item in _of(lab.kubectl, kind)]
    assert {item["kind"] for item in objects} == set(KINDS)
    found = health(gobuild.build(gobuild.LUA), objects)
    told = dict(zip(map(_named, objects), (answer["status"] for answer in found), strict=True))
    suspended = {_named(item) for item in objects if item["spec"].get("lifecycle") == "Suspended"}
    assert {name: status for name, status in told.items() if status != "Healthy"} == dict.fromkeys(
        suspended, "Suspended"
    )
    unfinished = [_named(item) for item in objects if not _current(item)]
    assert [name for name in unfinished if name not in suspended] == []


def _current(item: Json) -> bool:
    """What kstatus calls Current: this generation was seen, and no condition says it is not there yet."""
    status = item["status"]
    held = {condition["type"]: condition["status"] for condition in status["conditions"]}
    seen = status["observedGeneration"] == item["metadata"]["generation"]
    moving = "True" in (held.get("Reconciling"), held.get("Stalled"))
    return seen and not moving and held.get("Ready", "True") == "True"


def _counted(kubectl: Kubectl) -> bool:
    counts = [node["status"]["agents"] for node in _of(kubectl, "OrgNode")]
    return all(count["ready"] == count["total"] for count in counts)


def _still(kubectl: Kubectl, seconds: float) -> bool:
    before = _versions(kubectl)
    time.sleep(seconds)
    return not _changed(before, _versions(kubectl))


def _versions(kubectl: Kubectl) -> Mapping[str, str]:
    kinds = ",".join(f"{_plural(kind)}.cadre.dev" for kind in KINDS)
    found = kubectl.get(f"{kinds},{_CHILDREN}", "-n", acme.NAMESPACE)["items"]
    events = kubectl.get("events", "-n", acme.NAMESPACE)["items"]
    ours = [
        event for event in events if event["involvedObject"].get("apiVersion", "").startswith("cadre.dev/")
    ]
    return {_named(item): str(item["metadata"]["resourceVersion"]) for item in [*found, *ours]}


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _of(kubectl: Kubectl, kind: str) -> list[Json]:
    found: list[Json] = kubectl.get(f"{_plural(kind)}.cadre.dev", "-n", acme.NAMESPACE)["items"]
    return found


def _plural(kind: str) -> str:
    return "policies" if kind == "Policy" else f"{kind.lower()}s"


def _named(item: Json) -> str:
    return f"{item['kind']}/{item['metadata']['name']}"
