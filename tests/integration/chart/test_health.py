"""Argo CD's view: its own Lua interpreter runs the shipped script over every state of every kind."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from cadre_api.conditions import ReadyReason
from cadre_api.v1alpha1 import API_VERSION, KINDS
from tests.integration.chart.rendering import REPOSITORY, Object
from tests.support import gobuild

FOLDER = REPOSITORY / "charts" / "argocd"


@pytest.fixture(scope="session")
def lua() -> Path:
    """The interpreter that Argo CD embeds."""
    try:
        return gobuild.build(gobuild.LUA)
    except gobuild.ProgramUnavailableError as error:
        pytest.skip(f"no Lua: {error}")


def health(lua: Path, objects: list[Object]) -> list[dict[str, str]]:
    """What the script says of each object."""
    command = [str(lua), str(FOLDER / "health.lua")]
    done = subprocess.run(command, input=json.dumps(objects), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def cases(kind: str) -> list[Object]:
    loaded: list[Object] = yaml.safe_load((FOLDER / "testdata" / f"{kind}.yaml").read_text())
    return loaded


def built(kind: str, case: Object) -> Object:
    metadata: Object = {"name": case["name"], "namespace": "acme", "generation": case["generation"]}
    if case.get("deleting"):
        metadata["deletionTimestamp"] = "2026-01-05T08:00:00Z"
    status = {"status": case["status"]} if "status" in case else {}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": {}, **status}


@pytest.mark.parametrize("kind", KINDS)
def test_each_state_is_what_a_person_would_call_it(lua: Path, kind: str) -> None:
    stated = cases(kind)
    assert len(stated) >= 8
    for case, found in zip(stated, health(lua, [built(kind, c) for c in stated]), strict=True):
        assert found["status"] == case["health"], f"{kind} {case['name']}: {found}"
        assert case.get("message", found["message"]) == found["message"], f"{kind} {case['name']}"


def test_every_reason_of_ready_has_a_health(lua: Path) -> None:
    """A reason that is new here must be thought about: what is neither paused nor moving is broken."""
    expected = {
        "Suspended": {"AwaitingApproval", "Suspended", "Frozen"},
        "Progressing": {"Starting", "Draining", "GuardNotReady"},
    }
    objects = [
        built(
            "Agent",
            {
                "name": reason,
                "generation": 1,
                "status": {
                    "observedGeneration": 1,
                    "conditions": [{"type": "Ready", "status": "False", "reason": str(reason)}],
                },
            },
        )
        for reason in ReadyReason
    ]
    for reason, found in zip(ReadyReason, health(lua, objects), strict=True):
        wanted = [status for status, reasons in expected.items() if str(reason) in reasons]
        assert [found["status"]] == (wanted or ["Degraded"]), reason


def test_the_shipped_configuration_is_the_tested_script() -> None:
    """What users apply to Argo CD holds the script for each of the kinds."""
    file = REPOSITORY / "examples" / "04-gitops" / "argocd" / "argocd-cm.yaml"
    data = yaml.safe_load(file.read_text())["data"]
    script = (FOLDER / "health.lua").read_text()
    for kind in KINDS:
        assert data[f"resource.customizations.health.cadre.dev_{kind}"] == script, kind
