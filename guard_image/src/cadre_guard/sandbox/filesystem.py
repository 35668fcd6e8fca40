"""The agent's private root: system directories read-only, one binary, and nothing else of this machine.

Called in the new mount and pid namespaces, before any right is dropped.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from cadre_guard.sandbox import kernel
from cadre_guard.sandbox.spec import AGENT_BINARY, AGENT_UID, HOME, WORKDIR

_SYSTEM = ("usr", "lib", "lib32", "lib64", "bin", "sbin", "etc/ssl", "etc/ld.so.cache", "etc/alternatives")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_HOME_LIMIT = "size=512m,nr_inodes=100k,mode=700"
_READ_ONLY = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
_SCRATCH = "/tmp"  # noqa: S108 - the agent's own, on its own tmpfs
_STAGING = "/tmp"  # noqa: S108 - only a mount point: our own tmpfs covers it, in our own mount namespace


def enter_private_root(program: str, files: dict[str, str]) -> list[str]:
    """Build the root and move into it; answers notes on what could not be had. Raises OSError when it failed.

    The staging directory is covered by a tmpfs in this namespace only: nothing is written on the host.
    """
    notes: list[str] = []
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    # the program's path may lie below the staging directory that is covered next
    program_fd = os.open(program, os.O_PATH)
    kernel.mount("tmpfs", _STAGING, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=16m,mode=755")
    root = Path(_STAGING)
    _bind_system(root)
    _bind_file(f"/proc/self/fd/{program_fd}", root / AGENT_BINARY.lstrip("/"))
    os.close(program_fd)
    _make_devices(root)
    _make_accounts(root)
    _make_scratch(root)
    _write_files(root, files)
    for point in mounts_on(_mount_id(root), Path("/proc/self/mountinfo").read_text()):
        _make_read_only(point, keep_writable=(f"{root}{HOME}", f"{root}{_SCRATCH}"))
    try:
        # only while the old, full /proc is still visible may an unprivileged namespace mount its own;
        # read-only, because to the kernel's settings in it an agent of root's is root
        kernel.mount("proc", str(root / "proc"), "proc", _READ_ONLY | kernel.MS_NOEXEC)
    except OSError as error:
        notes.append(f"proc: {error.strerror}")
    _swap_root(root)
    return notes


def _bind_system(root: Path) -> None:
    for name in _SYSTEM:
        source = Path("/", name)
        target = root / name
        if source.is_symlink() and "/" not in name:
            target.symlink_to(source.readlink())
        elif source.is_dir():
            target.mkdir(parents=True)
            kernel.mount(str(source), str(target), None, kernel.MS_BIND | kernel.MS_REC)
        elif source.is_file():
            _bind_file(str(source), target)


def _bind_file(source: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch()
    kernel.mount(source, str(target), None, kernel.MS_BIND)


def _make_devices(root: Path) -> None:
    (root / "dev").mkdir()
    for name in _DEVICES:
        if Path("/dev", name).exists():
            _bind_file(f"/dev/{name}", root / "dev" / name)
    (root / "dev/fd").symlink_to("/proc/self/fd")


def _make_accounts(root: Path) -> None:
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/passwd").write_text(f"agent:x:{AGENT_UID}:{AGENT_UID}::{HOME}:/bin/false\n")
    (root / "etc/group").write_text(f"agent:x:{AGENT_UID}:\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")


def _make_scratch(root: Path) -> None:
    for name in ("proc", "tmp", WORKDIR.lstrip("/"), HOME.lstrip("/")):
        (root / name).mkdir(parents=True)
    for name in ("tmp", HOME.lstrip("/")):
        kernel.mount("tmpfs", str(root / name), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, _HOME_LIMIT)


def _write_files(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        target = root / HOME.lstrip("/") / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def mounts_on(mount_id: str, mountinfo: str) -> Iterator[str]:
    """Mount points on a mount, however deep; what it covers is out of reach (proc_pid_mountinfo(5))."""
    for line in mountinfo.splitlines():
        own, parent, _device, _root, point, *_rest = line.split(" ")
        if parent == mount_id:
            yield point.encode().decode("unicode_escape")
            yield from mounts_on(own, mountinfo)


def _mount_id(path: Path) -> str:
    """Of the topmost mount there (proc_pid_fdinfo(5))."""
    fd = os.open(path, os.O_PATH)
    try:
        lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
    finally:
        os.close(fd)
    return next(line.split()[1] for line in lines if line.startswith("mnt_id:"))


def _make_read_only(point: str, keep_writable: tuple[str, ...]) -> None:
    if point in keep_writable:
        return
    # flags a parent namespace locked must be repeated or the kernel refuses (mount_namespaces(7))
    locked = os.statvfs(point).f_flag & (os.ST_NOEXEC | os.ST_NOATIME | os.ST_NODIRATIME | os.ST_RELATIME)
    # device nodes stop working on a nodev mount
    nodev = 0 if "/dev/" in point else kernel.MS_NODEV
    flags = (
        kernel.MS_REMOUNT
        | kernel.MS_BIND
        | kernel.MS_RDONLY
        | kernel.MS_NOSUID
        | nodev
        | _mount_flags(locked)
    )
    kernel.mount(None, point, None, flags)


def _mount_flags(statvfs_flags: int) -> int:
    pairs = (
        (os.ST_NOEXEC, kernel.MS_NOEXEC),
        (os.ST_NOATIME, 0x400),
        (os.ST_NODIRATIME, 0x800),
        (os.ST_RELATIME, 0x200000),
    )
    return sum(flag for mask, flag in pairs if statvfs_flags & mask)


def _swap_root(root: Path) -> None:
    old = root / "old"
    old.mkdir()
    os.chdir(root)
    kernel.pivot_root(".", "old")
    os.chdir("/")
    kernel.unmount("/old")
    Path("/old").rmdir()
    kernel.mount(None, "/", None, kernel.MS_REMOUNT | kernel.MS_BIND | _READ_ONLY)
    os.chdir(WORKDIR)
