"""One cluster for all tests of a run, with the images of this checkout, Cadre, and the example company."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.cluster import acme, kind
from tests.e2e.cluster.kubectl import Kubectl, wait_for
from tests.e2e.cluster.people import STAFF, People
from tests.e2e.cluster.release import ADMIN, CREDENTIALS, NAMESPACE, Release, Wanted
from tests.e2e.cluster.steps import timed
from tests.support import images

_WORKER = "PYTEST_XDIST_WORKER"
ORDER = (
    *("platform", "release", "story", "examples", "bypass", "lead", "freeze", "open_network", "gitops"),
    *("processes", "rotation", "faults", "quiet", "figures", "analyzer", "uninstall", "upgrade"),
)
"""What matters most comes first; the release leaves after all who need it, and the upgrade makes its own."""
_PLACES = {Path(__file__).parent / f"test_{name}.py": place for place, name in enumerate(ORDER)}
_skipped: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in our order, tests as their files have them."""
    items.sort(key=lambda item: _PLACES.get(item.path, -1))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """After the deadline no test begins, so that a run on a slow machine ends; the summary names them."""
    if time.time() > float(os.environ.get("E2E_DEADLINE") or "inf"):
        _skipped.append(item.name)
        pytest.skip("E2E_DEADLINE has passed")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What did not run for want of time, in plain sight."""
    if _skipped:
        terminalreporter.section("NOT RUN: the deadline had passed", sep="#", red=True)
        terminalreporter.write_line(f"e2e: NOT RUN: {' '.join(_skipped)}")


@dataclass(frozen=True)
class Lab:
    """The cluster as tests see it."""

    cluster: kind.Cluster
    images: dict[str, str]
    """Image names by target of the Dockerfile; `postgres` besides."""

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as the cluster's administrator."""
        return self.cluster.kubectl


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Make the cluster, or use the one that an earlier run kept; remove it unless E2E_KEEP=1."""
    if _WORKER in os.environ:
        raise RuntimeError("there is one cluster: run these tests with -n 0")
    try:
        cluster = kind.up()
        built = images.build_all()
        cluster.load(built)
        yield Lab(cluster, {image.target: image.name for image in built})
    finally:
        kind.down()


@pytest.fixture(scope="session")
def release(lab: Lab) -> Release:
    """The chart, installed; its controller may reach the example's stand-ins."""
    installed = Release(lab.kubectl)
    installed.install(wanted(lab))
    return installed


def wanted(lab: Lab) -> Wanted:
    """What most tests have installed."""
    egress = acme.controller_egress()
    return Wanted(lab.images, (acme.NAMESPACE,), egress, STAFF, credentials=(CREDENTIALS,))


@pytest.fixture(scope="session")
def company(lab: Lab, release: Release, tmp_path_factory: pytest.TempPathFactory) -> People:
    """The example, applied by an admin; every agent is Ready, or Suspended as it wishes. Its people."""
    kubectl = lab.kubectl
    with timed("the example applied, agents ready"):
        acme.apply_stand_ins(kubectl, lab.images["examples"])
        kubectl(*ADMIN, "apply", "-k", str(acme.EXAMPLE))
        try:
            wait_for("every agent is Ready, or Suspended as it wishes", lambda: acme.ready(kubectl), 420)
        except TimeoutError:
            print(*(kubectl.state_of(name) for name in (acme.NAMESPACE, acme.STAND_INS, NAMESPACE)))
            raise
    people = People(kubectl, acme.NAMESPACE, tmp_path_factory.mktemp("people"))
    people.let_in()
    return people
