"""Where masking is done."""

import threading

from cadre_guard.masking.room import run


async def test_what_is_short_is_done_here_and_the_rest_in_another_thread() -> None:
    assert await run(True, threading.get_ident) == threading.get_ident()
    assert await run(False, threading.get_ident) != threading.get_ident()
