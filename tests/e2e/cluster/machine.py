"""What a cluster needs of a machine, and whether a failure is the machine's or this repository's.

A machine that cannot carry a cluster, or a mirror that refuses, must not keep a change from being taken; a
change that breaks an image, the chart or an agent must. So what is known to come from outside is told apart.
"""

import os
import platform
import re
import shutil
from pathlib import Path

from tests.e2e.cluster.archive import Config, pack
from tests.e2e.cluster.host import docker, which
from tests.e2e.cluster.steps import CACHE, REPOSITORY, StepFailedError, UnavailableError, remove
from tests.e2e.cluster.systemimages import fill_with_tools
from tests.support.gobuild import ProgramUnavailableError

_DISK = 12
"""GB: two caches of layers, the node's image and its container."""
_MEMORY = 4
"""GB: the cluster, two operators, two controllers, Postgres and a few agents."""
_PROBE = "cadre-e2e/probe:1"
_REFUSED = re.compile(
    r"temporary failure|could not resolve|no such host|i/o timeout|tls handshake timeout|timed out|"
    r"connection (refused|reset|closed)|failed to fetch|error sending request|unexpected eof|"
    r"too many requests|bad gateway|service unavailable|gateway time-?out|proxy authentication required|"
    r"reading https?://\S+: \d{3} |http error \d{3}|status code:? \(?(403|407|429|5\d\d)|"
    r"no space left on device|is not on path|not done after \d+ s",
    re.IGNORECASE,
)


def missing() -> list[str]:
    """What this machine lacks for a cluster of its own; nothing: it may be tried."""
    wanted = {
        "Linux on amd64": platform.system() == "Linux" and platform.machine() == "x86_64",
        "root (for debootstrap, mounts and dockerd)": os.geteuid() == 0,
        "Debian with apt-get": which("apt-get") is not None and _is_debian(),
        "go": shutil.which("go") is not None,
        f"{_DISK} GB of free disk": shutil.disk_usage(REPOSITORY).free >= _DISK * 10**9,
        f"{_MEMORY} GB of free memory": _memory() >= _MEMORY * 10**9,
    }
    return [what for what, there in wanted.items() if not there]


def probe() -> None:
    """Run a container as privileged as kind's node is. Raises UnavailableError where none may run."""
    root, packed = CACHE / "probe", CACHE / "probe.tar"
    remove(root)
    root.mkdir(parents=True)
    fill_with_tools(root)
    pack(root, Config((_PROBE,)), packed)
    try:
        docker("load", "--quiet", "--input", packed)
        docker("run", "--rm", "--privileged", _PROBE, "/bin/busybox", "mount", "-t", "tmpfs", "none", "/tmp")
    except StepFailedError as error:
        raise UnavailableError(f"no privileged container runs here: {error}") from error
    finally:
        remove(root)
        remove(packed)


def outside(error: Exception) -> bool:
    """Whether what failed is the machine, a mirror, a registry or the network, and not this repository."""
    if isinstance(error, UnavailableError):
        return True
    known = isinstance(error, StepFailedError | ProgramUnavailableError | OSError)
    return known and _REFUSED.search(str(error)) is not None


def _is_debian() -> bool:
    release = Path("/etc/os-release")
    return release.exists() and "\nID=debian\n" in f"\n{release.read_text()}\n"


def _memory() -> int:
    """Bytes that programs may still take."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
