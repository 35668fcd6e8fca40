"""The runs on a cluster: which test comes when, and which failure is the machine's."""

from pathlib import Path

import pytest

from tests.e2e.cluster import kind
from tests.e2e.cluster.machine import outside
from tests.e2e.cluster.steps import StepFailedError, UnavailableError
from tests.e2e.kind.conftest import ORDER
from tests.support.gobuild import ProgramUnavailableError

_FOLDER = Path(__file__).parents[2] / "e2e" / "kind"


def test_every_file_has_its_place_in_the_order() -> None:
    """A new file that nobody placed would break the collection of all."""
    assert sorted(ORDER) == sorted(path.stem.removeprefix("test_") for path in _FOLDER.glob("test_*.py"))


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("dockerd did not start"),
        StepFailedError("apt-get update: Temporary failure resolving 'mirror'"),
        StepFailedError("docker build: error: Failed to fetch: `https://files/simple/aiohttp/`"),
        ProgramUnavailableError("kind must be built, but go is not on PATH"),
        ProgramUnavailableError("go: k8s.io/api@v0.34.4: reading https://proxy/k8s.io: 502 Bad Gateway"),
        OSError(28, "No space left on device"),
    ],
)
def test_what_comes_from_outside_is_no_failure_of_the_project(error: Exception) -> None:
    """Mirrors, registries, the machine."""
    assert outside(error)


@pytest.mark.parametrize(
    "error",
    [
        StepFailedError("docker build: shim.c:12:5: error: expected ';' before 'return'"),
        StepFailedError("docker build: COPY failed: file not found in build context: guard_image/src"),
        ProgramUnavailableError("building netpol failed: ./main.go:3:8: undefined: serve"),
        ValueError("no such host"),
    ],
)
def test_what_this_repository_breaks_is_its_failure(error: Exception) -> None:
    """Compilers, missing files, our own mistakes."""
    assert not outside(error)


def test_a_cluster_of_another_checkout_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker keeps nodes, and starts them again; who has no way into one makes a new one."""
    monkeypatch.setattr(kind, "_running", lambda: "cadre-e2e/node:1")
    kubeconfig = tmp_path / "kubeconfig"
    assert not kind.reusable("cadre-e2e/node:1", kubeconfig)
    kubeconfig.touch()
    assert kind.reusable("cadre-e2e/node:1", kubeconfig)
    assert not kind.reusable("cadre-e2e/node:2", kubeconfig)
