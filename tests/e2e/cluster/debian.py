"""Debian root file systems from this machine's package mirrors: the base of images without a registry."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.cluster.host import which
from tests.e2e.cluster.steps import StepFailedError, product, remove, run

_UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/lib/apt/lists")
_SMALL = "".join(f"path-exclude=/usr/share/{folder}/*\n" for folder in ("doc", "man", "locale", "info"))
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def base() -> Path:
    """A minimal root file system (a folder) of this machine's Debian release."""
    return product("debian-base", [codename(), "2"], _bootstrap)


def with_packages(name: str, packages: Sequence[str]) -> Path:
    """The base with further packages installed."""

    def make(root: Path) -> None:
        run(["cp", "-a", "--reflink=auto", base(), root])
        with _as_on_this_machine(root):
            _inside(root, "apt-get", "update", "-q")
            _inside(root, "apt-get", "install", "-qy", "--no-install-recommends", *packages)
        _slim(root)

    return product(name, [codename(), "2", *packages], make)


def codename() -> str:
    """The Debian release of this machine, e.g. `bookworm`."""
    found = re.search(r"^VERSION_CODENAME=(\S+)$", Path("/etc/os-release").read_text(), re.MULTILINE)
    if not found:
        raise StepFailedError("/etc/os-release names no Debian release")
    return found[1]


def sources() -> list[tuple[str, str, str]]:
    """(mirror, release, component) of every Debian archive this machine's apt uses."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"]
    wanted = ["Created-By: Packages", "Origin: Debian"]
    if not run([*asked, *wanted]).strip():
        run(["apt-get", "update", "-q"])
    lines = sorted(set(run([*asked, *wanted]).splitlines()))
    return [(words[0], words[1], words[2]) for words in (line.split() for line in lines)]


def _bootstrap(root: Path) -> None:
    mirrors = [mirror for mirror, release, _ in sources() if release == codename()]
    if not mirrors:
        raise StepFailedError(f"apt on this machine knows no Debian mirror for {codename()}")
    command = [which("debootstrap") or "debootstrap", "--variant=minbase", "--include=ca-certificates"]
    run([*command, codename(), root, mirrors[0]], env={"PATH": f"{os.environ['PATH']}:{_PATH}"})
    (root / "etc/dpkg/dpkg.cfg.d/small").write_text(f"{_SMALL}force-unsafe-io\n")
    lines = [f"deb {mirror} {release} {component}\n" for mirror, release, component in sources()]
    (root / "etc/apt/sources.list").write_text("".join(lines))
    _slim(root)


@contextmanager
def _as_on_this_machine(root: Path) -> Iterator[None]:
    """Name service, certificates, proxies and /proc for apt; no service may start meanwhile."""
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    settings = root / "etc/apt/apt.conf.d/00host"
    settings.write_text(_apt_settings())
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    certificates = root / "etc/ssl/certs/ca-certificates.crt"
    own = certificates.read_bytes() if certificates.exists() else b""
    certificates.write_bytes(Path("/etc/ssl/certs/ca-certificates.crt").read_bytes())
    run(["mount", "-t", "proc", "proc", root / "proc"])
    try:
        yield
    finally:
        run(["umount", root / "proc"])
        policy.unlink()
        settings.unlink()
        certificates.write_bytes(own)


def _apt_settings() -> str:
    dump = run(["apt-config", "dump"])
    return "\n".join(re.findall(r"^Acquire::https?::(?:Proxy|CaInfo).*$", dump, re.MULTILINE)) + "\n"


def _inside(root: Path, *command: str) -> None:
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    environment = {"PATH": _PATH, "DEBIAN_FRONTEND": "noninteractive", **proxies}
    done = subprocess.run(
        [which("chroot") or "chroot", str(root), *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode != 0:
        raise StepFailedError(f"{' '.join(command)} in the root file system: {done.stderr[-2000:]}")


def _slim(root: Path) -> None:
    for folder in _UNUSED:
        for path in (root / folder).glob("*"):
            remove(path)
    for pattern in (
        "var/cache/apt/*.bin",
        "var/cache/apt/archives/*.deb",
        "var/log/*.log",
        "etc/resolv.conf",
    ):
        for path in root.glob(pattern):
            path.unlink()
