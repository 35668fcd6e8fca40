"""Where masking is done: what is short on the event loop, as another thread first has to be given a core."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

_T = TypeVar("_T")
ROOM_KNOWN, ROOM_NEW = 65_536, 8_192
"""Characters of a document, and of those in it that were not masked before, that take some milliseconds."""


async def run(here: bool, work: Callable[[], _T], threads: Executor | None = None) -> _T:
    """What `work` returns; not `here`, in one of the threads (None: the loop's own)."""
    if here:
        return work()
    return await asyncio.get_running_loop().run_in_executor(threads, work)
