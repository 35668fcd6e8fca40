"""Who follows work outlives a restart of the controller or its database, however quiet it was before."""

import time
from collections.abc import Callable
from typing import TypeVar

from cadre_local.errors import CadreError, Exit

RECONNECT_FOR = 60.0
"""Seconds a watcher keeps trying while the controller is away."""
_PAUSE = 0.3
_T = TypeVar("_T")


class Patience:
    """What is left of it: all, after every word of the controller."""

    def __init__(self) -> None:
        self._until = time.monotonic() + RECONNECT_FOR

    def heard(self, line: str) -> str:
        """Hand a line on: the controller is there."""
        self._until = time.monotonic() + RECONNECT_FOR
        return line

    def bear(self, error: CadreError) -> None:
        """Pause before the next try; raises it if it is a refusal, or patience is at its end."""
        if error.code is not Exit.UNREACHABLE or time.monotonic() > self._until:
            raise error
        time.sleep(_PAUSE)


def awaited(read: Callable[[], _T]) -> _T:
    """What `read` returns as soon as the controller answers; raises CadreError like `Patience.bear`."""
    patience = Patience()
    while True:
        try:
            return read()
        except CadreError as error:
            patience.bear(error)
