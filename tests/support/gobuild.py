"""Builds the real programs that tests run on (etcd, kube-apiserver, helm) from pinned Go modules.

`python -m tests.support.gobuild kube chart` builds ahead of time. Products are keyed by their inputs and kept
in `.cache/` outside git: the first build takes minutes, later ones nothing.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]
_MODULES = Path(__file__).parent / "kubernetes"
_CACHE = _REPOSITORY / ".cache" / "go-programs"
_VERSION = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Program:
    """One program: the folder of its module file, the package to build, and linker settings."""

    name: str
    folder: Path
    package: str
    linker: str = "-s -w"


ETCD = Program("etcd", _MODULES / "etcd", ".")
KUBERNETES = "v1.34.4"


def _kubernetes(name: str) -> Program:
    version = f"-X {_VERSION}.gitVersion={KUBERNETES} -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=34"
    return Program(name, _MODULES / "upstream", f"k8s.io/kubernetes/cmd/{name}", f"-s -w {version}")


APISERVER = _kubernetes("kube-apiserver")
KUBECTL = _kubernetes("kubectl")
CONTROL_PLANE = (APISERVER, _kubernetes("kube-controller-manager"), _kubernetes("kube-scheduler"))
KUBE_PROXY = _kubernetes("kube-proxy")
NODE = (_kubernetes("kubeadm"), _kubernetes("kubelet"), KUBECTL)
COREDNS = Program("coredns", _MODULES / "coredns", ".")
NETPOL = Program("netpol", _MODULES / "netpol", ".")
LOCAL_PATH = Program(
    "local-path-provisioner", _MODULES / "local-path", "github.com/rancher/local-path-provisioner"
)
KIND = Program("kind", _MODULES / "kind", "sigs.k8s.io/kind")
HELM = Program("helm", _MODULES / "helm", "helm.sh/helm/v3/cmd/helm")
LUA = Program("lua", _MODULES / "lua", ".")
GROUPS = {
    "kube": (ETCD, APISERVER),
    "chart": (HELM, LUA),
    "cluster": (KIND, ETCD, *CONTROL_PLANE, KUBE_PROXY, *NODE, COREDNS, NETPOL, LOCAL_PATH, HELM),
}


class ProgramUnavailableError(Exception):
    """The program cannot be had on this machine; the message says why."""


def build(program: Program) -> Path:
    """Return the built program, building it if its inputs changed. Raises ProgramUnavailableError."""
    target = _CACHE / f"{program.name}-{_digest(program)}"
    with _only_builder(program):
        if not target.exists():
            _compile(program, target)
    return target


def _digest(program: Program) -> str:
    digest = hashlib.sha256(f"{program.package}\n{program.linker}\n".encode())
    for path in sorted(program.folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _only_builder(program: Program) -> Iterator[None]:
    """Let parallel test workers wait for one build instead of racing."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / f"{program.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _compile(program: Program, target: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise ProgramUnavailableError(f"{program.name} must be built, but go is not on PATH")
    partial = target.with_suffix(".partial")
    command = [go, "build", "-trimpath", f"-ldflags={program.linker}", "-o", str(partial), program.package]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly"}
    done = subprocess.run(
        ["nice", "-n", "19", *command],
        cwd=program.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ProgramUnavailableError(f"building {program.name} failed: {done.stderr[-2000:]}")
    partial.rename(target)


def main(arguments: list[str]) -> int:
    """Build the named groups of programs."""
    if not arguments or not set(arguments) <= GROUPS.keys():
        print(f"usage: python -m tests.support.gobuild {'|'.join(GROUPS)}", file=sys.stderr)
        return 2
    for group in arguments:
        for program in GROUPS[group]:
            print(build(program))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
