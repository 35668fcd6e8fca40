"""The cluster of a test run: one named on purpose, else kind: made, filled with images, removed."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.e2e.cluster import machine, nodeimage
from tests.e2e.cluster.host import DOCKER, docker, docker_answers, prepare, pulled, start_docker, stop_docker
from tests.e2e.cluster.kubectl import Kubectl
from tests.e2e.cluster.pods import TOOLS
from tests.e2e.cluster.steps import CACHE, FILES, UnavailableError, run, timed
from tests.support import gobuild, images
from tests.support.images import Image

NAME = "cadre-e2e"
NODE = f"{NAME}-control-plane"
GIVEN = "E2E_KUBECONFIG"
"""A kubeconfig: its current context is used, not removed; its nodes must get the images themselves."""
KEEP = "E2E_KEEP"
"""1 leaves the cluster for the next run, which uses it again as long as the node image is the same."""
_PULLED_NODE = f"kindest/node:{gobuild.KUBERNETES}"
_KUBECONFIG = CACHE / "kubeconfig"


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers."""

    kubectl: Kubectl
    owned: bool

    def load(self, images: Sequence[Image]) -> None:
        """Put images into the node; those that are there already cost nothing."""
        wanted = [image for image in images if self.owned and not self._has(image)]
        if wanted:
            with timed(f"load {' '.join(image.target for image in wanted)}"):
                _kind("load", "docker-image", "--name", NAME, *(image.name for image in wanted))

    def _has(self, image: Image) -> bool:
        names = docker("exec", NODE, "ctr", "-n", "k8s.io", "images", "ls", "-q")
        return f"docker.io/{image.name}" in names.split()


def up() -> Cluster:
    """Return a cluster whose system pods are ready. Raises StepFailedError."""
    given = os.environ.get(GIVEN)
    if given:
        return Cluster(_kubectl(Path(given)), owned=False)
    prepare_machine()
    image = node_image()
    cluster = Cluster(_kubectl(_KUBECONFIG), owned=True)
    if not reusable(image, _KUBECONFIG):
        _delete()
        _create(image)
    with timed("system pods ready"):
        _wait_ready(cluster.kubectl)
    if image == _PULLED_NODE:
        cluster.load([_tools()])
    return cluster


@cache
def prepare_machine() -> None:
    """Packages, Docker, and whether a node can run here; a pulled one needs Docker alone.

    Raises UnavailableError.
    """
    if os.environ.get(GIVEN) or (docker_answers() and (_running() or pulled(_PULLED_NODE))):
        return
    lacking = machine.missing()
    if lacking:
        raise UnavailableError(f"this machine lacks: {', '.join(lacking)}; or set {GIVEN}")
    prepare()
    start_docker()
    machine.probe()


def node_image() -> str:
    """The image of the cluster's node: pulled where a registry has it, else built. Raises StepFailedError."""
    return _PULLED_NODE if pulled(_PULLED_NODE) else nodeimage.build()


def down(*, even_if_kept: bool = False) -> None:
    """Remove the cluster, and the Docker daemon if it was started for it."""
    if os.environ.get(GIVEN) or (os.environ.get(KEEP) == "1" and not even_if_kept):
        return
    if docker_answers():
        _delete()
    stop_docker()


def _tools() -> Image:
    """The tests' tools as an image; a node image that is built here has them in it."""
    arguments = ("--build-arg", f"BASE={images.base_image()}", "--file", FILES / "tools.Dockerfile")
    docker("build", "--quiet", "--network=host", *arguments, "--tag", TOOLS, FILES)
    return Image("tools", TOOLS, "", 0)


def _kubectl(kubeconfig: Path) -> Kubectl:
    return Kubectl(gobuild.build(gobuild.KUBECTL), gobuild.build(gobuild.HELM), kubeconfig)


def _running() -> str:
    """The node image of our cluster if its node runs, else nothing."""
    asked = f"name=^{NAME}-control-plane$"
    found = docker("ps", "--filter", asked, "--format", "{{json .}}").split("\n")[0]
    return str(json.loads(found)["Image"]) if found else ""


def reusable(image: str, kubeconfig: Path) -> bool:
    """Whether our cluster runs on that node image and this checkout made it: Docker keeps those of others."""
    return kubeconfig.is_file() and _running() == image


def _create(image: str) -> None:
    with timed("kind create cluster"):
        _kind("create", "cluster", "--name", NAME, "--image", image, "--wait", "180s")


def _delete() -> None:
    if docker("ps", "--all", "--quiet", "--filter", f"name=^{NODE}$").strip():
        with timed("kind delete cluster"):
            _kind("delete", "cluster", "--name", NAME)
    _KUBECONFIG.unlink(missing_ok=True)


def _wait_ready(kubectl: Kubectl) -> None:
    kubectl("-n", "kube-system", "wait", "--for=condition=Ready", "pod", "--all", "--timeout=240s")
    kubectl("-n", "local-path-storage", "rollout", "status", "deployment", "--timeout=240s")
    kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")


def _kind(*arguments: str) -> str:
    # kind calls `docker`: ours, which knows what this machine's root may do, comes first
    path = os.pathsep.join([str(DOCKER.parent), os.environ.get("PATH", "")])
    environment = {"PATH": path, "KUBECONFIG": str(_KUBECONFIG)}
    return run([gobuild.build(gobuild.KIND), *arguments], env=environment)
