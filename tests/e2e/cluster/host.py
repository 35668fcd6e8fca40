"""What the machine under the test cluster must have: a few packages, root, and a Docker daemon."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.cluster.steps import CACHE, FILES, StepFailedError, UnavailableError, exclusive, run, timed

_PACKAGES = {
    "debootstrap": "debootstrap",
    "containerd": "containerd",
    "dockerd": "docker.io",
    "iptables": "iptables",
    "gcc": "gcc",
    "systemctl": "systemd",
}
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
DOCKER = FILES / "docker"
_PID = CACHE / "dockerd.pid"


def prepare() -> None:
    """Install the packages that are missing. Raises UnavailableError on a machine that cannot do it."""
    missing = sorted(package for program, package in _PACKAGES.items() if which(program) is None)
    if not Path("/usr/include/stdlib.h").exists():
        missing.append("libc6-dev")
    if missing or not any(CACHE.glob("node-packages-*[0-9a-f]")):
        _install(missing)


def _install(packages: Sequence[str]) -> None:
    """Also without packages: what is made of others later needs lists of today."""
    command = ["apt-get", "install", "-qy", "--no-install-recommends", *packages]
    with exclusive("apt"), timed(" ".join(command)):
        try:
            run(["apt-get", "update", "-q"])
            run(command, env={"DEBIAN_FRONTEND": "noninteractive"})
        except StepFailedError as error:
            raise UnavailableError(f"packages that a cluster needs: {error}") from error


def which(program: str) -> str | None:
    """Find a program, also where only root looks."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), *_SBIN]))


def docker(*arguments: str | Path, stdin: str | None = None, timeout: float = 900) -> str:
    """Run the Docker client. Raises StepFailedError."""
    return run([DOCKER, *arguments], stdin=stdin, timeout=timeout)


def pulled(image: str) -> bool:
    """Whether the image is here, or a registry that answers has it."""
    if docker("image", "ls", "--quiet", image).strip():
        return True
    try:
        docker("pull", "--quiet", image, timeout=300)
    except StepFailedError:
        return False
    return True


def docker_answers() -> bool:
    """Whether a Docker daemon can be used."""
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "info"], capture_output=True, check=False)
    return asked.returncode == 0


def start_docker() -> None:
    """Start a Docker daemon where none answers; `stop_docker` ends that one. Raises UnavailableError."""
    if docker_answers():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    with timed("dockerd started"), (CACHE / "dockerd.log").open("w") as log:
        daemon = subprocess.Popen(
            [which("dockerd") or "dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        _PID.write_text(str(daemon.pid))
        _wait_for_docker(daemon)


def _wait_for_docker(daemon: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not docker_answers():
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise UnavailableError(f"dockerd did not start: {(CACHE / 'dockerd.log').read_text()[-2000:]}")
        time.sleep(0.2)


def stop_docker() -> None:
    """End the daemon that `start_docker` started, in this process or an earlier one."""
    if not _PID.exists():
        return
    pid = int(_PID.read_text())
    _PID.unlink()
    if not _is_dockerd(pid):
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while _is_dockerd(pid) and time.monotonic() < deadline:
        time.sleep(0.1)


def _is_dockerd(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return "Name:\tdockerd" in status and "State:\tZ" not in status
