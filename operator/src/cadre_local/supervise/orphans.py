"""Grandchildren whose parent died: adopted by the supervisor (Linux), killed and reaped: nothing stays."""

import ctypes
import os
import signal
import sys
from collections.abc import Collection
from contextlib import suppress

import psutil

PR_SET_CHILD_SUBREAPER = 36


def adopt() -> bool:
    """From now on orphans below this process become its children; False where no system call does that."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def end_orphans(ours: Collection[int]) -> int:
    """Kill and reap every child that we did not start ourselves; returns how many there were."""
    ended = 0
    for process in psutil.Process().children():
        if process.pid in ours:
            continue
        with suppress(psutil.Error):
            for below in process.children(recursive=True):
                with suppress(psutil.Error):
                    below.kill()
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(process.pid, 0)
        ended += 1
    return ended
