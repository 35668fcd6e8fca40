"""From an earlier revision to this one while everybody works. Named to come after the uninstalling."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.cluster import acme, companies
from tests.e2e.cluster.kubectl import Kubectl, wait_for
from tests.e2e.cluster.people import STAFF, People
from tests.e2e.cluster.release import ADMIN, NAMESPACE, Release, Wanted
from tests.e2e.cluster.steps import timed
from tests.e2e.kind.conftest import Lab
from tests.e2e.kind.test_examples import people_of
from tests.e2e.kind.test_story import approve, asked_of, begin
from tests.support import images

pytestmark = [pytest.mark.timeout(2400), pytest.mark.nightly]

REVISION = "9b4a6820e34e080e4517b64983e649f63300846d"
"""Other definitions of Workflow and Agent, a database two migrations younger, another guard."""
_TARGETS = ("operator", "controller", "guard")
_TINY = "tiny"
_WORDS = 70
_WORD = "abcdefgh "
_SLOW = f"""
format: cadre-scripted/1
name: slow
model: qwen3:8b
rules:
  - name: one-word-a-second
    when: {{}}
    reply:
      text: "{_WORD * _WORDS}"
      chunk: {{characters: 9, delay: 1s}}
"""


def test_work_goes_on_while_the_release_is_upgraded(lab: Lab, tmp_path: Path) -> None:
    """A task that waits, a terminal that watches and a letter under way all live through `helm upgrade`."""
    kubectl = lab.kubectl
    _nothing_left(kubectl)
    earlier = _earlier(lab, tmp_path / "earlier")
    Release(kubectl).install(earlier)
    people = _companies(lab, tmp_path)
    before = len(acme.booked(kubectl))
    task = begin(people)
    asked_of(people, "h-keller")
    tiny = people_of(lab, _TINY, tmp_path)
    letter = tiny.json("ada", "task", "run", "--agent", "helper-1", "Write me a long letter.")["id"]
    wait_for("the model speaks", lambda: "long letter" in companies.model_saw(kubectl, "slow"))
    with _watching(people, task) as terminal:
        _upgrade(lab, earlier)
        approve(people)
        assert people.json("l-brandt", "task", "watch", task, "--timeout", "280")["state"] == "Succeeded"
        told, _ = terminal.communicate(timeout=60)
    assert terminal.returncode == 0, told
    assert len(acme.booked(kubectl)) == before + 1
    written = tiny.json("ada", "task", "watch", letter, "--timeout", "280")
    assert (written["state"], written["result"].count(_WORD.strip())) == ("Succeeded", _WORDS)
    # a controller that leaves gives its streams seconds; one that was cut is asked for again, and only once
    assert companies.model_saw(kubectl, "slow").count('"rule"') <= 2
    kubectl(*ADMIN, "apply", "-k", str(acme.EXAMPLE))
    wait_for("every agent has the new guard", lambda: _guards(kubectl) == {lab.images["guard"]}, 420)
    wait_for("every agent is Ready", lambda: acme.ready(kubectl), 240)


def _nothing_left(kubectl: Kubectl) -> None:
    """What the guide says about removing everything: companies, then the release, then the kinds."""
    with timed("everything removed"):
        for namespace in (acme.NAMESPACE, _TINY):
            if kubectl.succeeds("get", "agents.cadre.dev", "-n", namespace):
                kubectl(*ADMIN, "delete", "agents.cadre.dev", "--all", "-n", namespace)
            wait_for("the pods are gone", partial(_empty, kubectl, namespace), 240)
            kubectl("delete", "namespace", namespace, "--ignore-not-found")
        if kubectl.succeeds("get", "deployment", "cadre-operator", "-n", NAMESPACE):
            Release(kubectl).uninstall()
        kubectl("delete", "namespace", NAMESPACE, acme.STAND_INS, "--ignore-not-found")
        kubectl("delete", "crd", "-l", "app.kubernetes.io/part-of=cadre")


def _empty(kubectl: Kubectl, namespace: str) -> bool:
    return not kubectl.get("pods", "-n", namespace)["items"]


def _earlier(lab: Lab, folder: Path) -> Wanted:
    """The earlier revision: its images in the cluster, its chart and its example unpacked."""
    built = images.build_revision(REVISION, _TARGETS)
    lab.cluster.load(built)
    images.unpack_revision(REVISION, ("charts", "examples"), folder)
    named = lab.images | {image.target: image.name for image in built}
    egress = acme.controller_egress()
    return Wanted(named, (acme.NAMESPACE, _TINY), egress, STAFF, folder / "charts" / "cadre")


def _companies(lab: Lab, folder: Path) -> People:
    """The earlier revision's example, and a company of one agent whose model speaks slowly."""
    kubectl = lab.kubectl
    acme.apply_stand_ins(kubectl, lab.images["examples"])
    address = companies.scripted_model(kubectl, "slow", lab.images["examples"], _SLOW)
    kubectl(*ADMIN, "apply", "-k", str(folder / "earlier" / "examples" / "01-acme"))
    tiny = companies.EXAMPLES / "02-minimal" / "company.yaml"
    companies.found(kubectl, (_TINY,), companies.documents(tiny, companies.model_at(address)))
    with timed("the earlier revision's agents ready"):
        wait_for("every agent is Ready, or Suspended as it wishes", lambda: acme.ready(kubectl), 420)
        companies.wait_ready(kubectl, "helper-1", _TINY)
    people = People(kubectl, acme.NAMESPACE, folder)
    people.let_in()
    return people


def _upgrade(lab: Lab, earlier: Wanted) -> None:
    release = Release(lab.kubectl)
    former = (earlier.images["guard"],)
    release.install(Wanted(lab.images, earlier.agents, earlier.egress, STAFF, former_guards=former))
    assert "Succeeded" in release.test()


@contextmanager
def _watching(people: People, task: str) -> Iterator[subprocess.Popen[str]]:
    """A terminal in which somebody watches a task."""
    command = [sys.executable, "-m", "cadre_local.cli.main", "task", "watch", task]
    terminal = subprocess.Popen(
        command,
        env=dict(people.environ("l-brandt")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield terminal
    finally:
        terminal.kill()
        terminal.communicate(timeout=30)


def _guards(kubectl: Kubectl) -> set[str]:
    pods = kubectl.get("pods", "-n", acme.NAMESPACE)["items"]
    every = [item for pod in pods for item in pod["spec"].get("initContainers", [])]
    return {str(item["image"]) for item in every if item["name"] == "guard"}
