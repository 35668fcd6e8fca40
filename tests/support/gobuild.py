"""Builds the real programs that tests run on (etcd, kube-apiserver, helm) from pinned Go modules.

`python -m tests.support.gobuild kube` builds ahead of time. Products are keyed by their inputs and kept in
`.cache/` outside git: the first build takes minutes, later ones nothing.
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
APISERVER = Program(
    "kube-apiserver",
    _MODULES / "apiserver",
    "k8s.io/kubernetes/cmd/kube-apiserver",
    f"-s -w -X {_VERSION}.gitVersion=v1.34.4 -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=34",
)
HELM = Program("helm", _MODULES / "helm", "helm.sh/helm/v3/cmd/helm")
LUA = Program("lua", _MODULES / "lua", ".")
GROUPS = {"kube": (ETCD, APISERVER), "chart": (HELM, LUA)}


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
