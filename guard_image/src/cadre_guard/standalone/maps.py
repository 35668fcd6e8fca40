"""What `process` masked, until its time is over: a map reference is the only way back to the values."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

LIFETIME_SECONDS = 3600.0
_MAX_MAPS = 10_000


class TokenMaps:
    """In memory alone, bounded; the oldest go first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._maps: OrderedDict[str, tuple[float, Mapping[str, str]]] = OrderedDict()

    def keep(self, reference: str, values: Mapping[str, str]) -> None:
        """Remember token -> value under a reference."""
        self._maps[reference] = (self._clock() + LIFETIME_SECONDS, dict(values))
        while len(self._maps) > _MAX_MAPS:
            self._maps.popitem(last=False)

    def of(self, reference: str) -> Mapping[str, str] | None:
        """The pairs, or None when there is no such map any more."""
        now = self._clock()
        while self._maps and next(iter(self._maps.values()))[0] <= now:
            self._maps.popitem(last=False)
        found = self._maps.get(reference)
        return found[1] if found is not None else None

    @staticmethod
    def reference() -> str:
        """A reference nobody can guess; it also salts the tokens, so that two maps cannot be compared."""
        return "map_" + secrets.token_urlsafe(24)
