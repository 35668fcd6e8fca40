"""The node image of the test cluster: the node's root with the system's images already in its containerd."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.cluster import noderoot
from tests.e2e.cluster.host import docker, which
from tests.e2e.cluster.steps import CACHE, FILES, StepFailedError, digest, exclusive, remove, run, timed
from tests.e2e.cluster.systemimages import SystemImages, busybox, pause
from tests.support import gobuild

_NAME = "cadre-e2e/node"
_DOCKERFILE = """FROM {root}
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/kind/bin/cadre-entrypoint", "/sbin/init"]
"""
_CONTAINERD = """version = 2
root = "{root}/var/lib/containerd"
state = "{state}/run"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{state}/socket"
[ttrpc]
  address = "{state}/ttrpc"
"""


def build() -> str:
    """Build what is missing and return the image's name; it names the content. Raises StepFailedError."""
    programs = []
    for program in gobuild.GROUPS["cluster"]:
        with timed(f"program {program.name}"):
            programs.append(gobuild.build(program).name)
    code = [path for path in sorted(Path(__file__).parent.glob("*.py")) if path.stem in _CODE]
    made = [noderoot.packages().name, busybox().name, pause().name]
    tag = f"{_NAME}:{digest([*programs, *made, *code, FILES])}"
    with exclusive("node-image"):
        if not docker("image", "ls", "--quiet", tag).strip():
            with timed("node image"):
                _build(tag)
    return tag


_CODE = ("archive", "noderoot", "nodeimage", "systemimages")


def _build(tag: str) -> None:
    work = CACHE / "node.partial"
    remove(work)
    images = work / "images"
    images.mkdir(parents=True)
    root = work / "root"
    with timed("  the node's root"):
        noderoot.assemble(root)
    with timed("  image files of the system"):
        SystemImages(root, images).write()
    with timed("  images into the node's containerd"):
        _import(root, images)
    with timed("  the whole into docker"):
        _into_docker(root, tag)
    remove(work)


def _import(root: Path, images: Path) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="cadre-containerd-") as state,
        _containerd(root, Path(state)) as socket,
    ):
        for image in sorted(images.glob("*.tar")):
            run(
                [
                    "ctr",
                    "-a",
                    socket,
                    "-n",
                    "k8s.io",
                    "images",
                    "import",
                    "--all-platforms",
                    "--no-unpack",
                    image,
                ]
            )


@contextmanager
def _containerd(root: Path, state: Path) -> Iterator[Path]:
    """A containerd of our own whose store is the node's."""
    settings = state / "config.toml"
    settings.write_text(_CONTAINERD.format(root=root, state=state))
    socket = state / "socket"
    with (CACHE / "containerd.log").open("w") as log:
        command = [which("containerd") or "containerd", "--config", str(settings)]
        daemon = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            _wait(socket)
            yield socket
        finally:
            daemon.terminate()
            daemon.wait(60)


def _wait(socket: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            run(["ctr", "-a", socket, "version"], timeout=20)
            return
        except StepFailedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _into_docker(root: Path, tag: str) -> None:
    packed = CACHE / "node.tar"
    run(["tar", "-C", root, "--numeric-owner", "--xattrs", "-cf", packed, "."])
    plain = f"{_NAME}-root:latest"
    docker("import", packed, plain)
    packed.unlink()
    docker("build", "--quiet", "--tag", tag, "-", stdin=_DOCKERFILE.format(root=plain))
    docker("rmi", plain)
