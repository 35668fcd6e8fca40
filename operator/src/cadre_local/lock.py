"""One supervisor per state directory: the kernel's lock, which a crash releases, and who holds it."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from cadre_local.errors import CadreError, Exit


@dataclass(slots=True)
class InstanceLock:
    """A held lock; closing it (or dying) lets go."""

    descriptor: int

    def release(self) -> None:
        """Let go."""
        os.close(self.descriptor)


def acquire(path: Path) -> InstanceLock:
    """Take the lock and write our pid into it; raises `AlreadyRunning` naming the holder."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip() or "an unknown process"
        os.close(descriptor)
        raise CadreError(
            "AlreadyRunning",
            f"another supervisor (pid {holder}) holds {path}",
            "`cadre status` shows it, `cadre down` stops it",
            Exit.CONFLICT,
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return InstanceLock(descriptor)


def held(path: Path) -> bool:
    """Whether some supervisor holds the lock now."""
    try:
        acquire_probe = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(acquire_probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(acquire_probe)
    return False
