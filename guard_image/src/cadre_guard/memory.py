"""Memory of a process that lives long: what its start left behind goes back to the system."""

import contextlib
import ctypes
import gc
import sys

_M_ARENA_MAX = -8
"""glibc, malloc.h: each further arena keeps freed memory of its own."""


def use_few_arenas() -> None:
    """Before any thread starts (glibc only): ours wait more than they allocate."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def settle_memory() -> None:
    """After loading: free what can be freed, and never look at the rest again (trimming: glibc only)."""
    gc.collect()
    gc.freeze()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
