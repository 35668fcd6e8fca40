"""Token buckets in memory: enough to stop a runaway caller of this process, cheap enough for every call."""

from cadre_controller.errors import RateLimited
from cadre_controller.ports import Clock

IDLE_SECONDS = 300.0


class RateLimiter:
    """`per_minute` units for each key, refilled evenly, with a burst of a full minute."""

    def __init__(self, clock: Clock, per_minute: int, what: str) -> None:
        self._clock = clock
        self._capacity = float(per_minute)
        self._what = what
        self._buckets: dict[str, tuple[float, float]] = {}
        self._swept = clock.monotonic()

    def take(self, key: str, units: int) -> None:
        """Take units or raise RateLimited with the seconds until they are there."""
        now = self._clock.monotonic()
        self._sweep(now)
        level, at = self._buckets.get(key, (self._capacity, now))
        level = min(self._capacity, level + (now - at) * self._capacity / 60.0)
        if units > level:
            raise RateLimited(self._what, retry_after=(units - level) * 60.0 / self._capacity)
        self._buckets[key] = (level - units, now)

    def _sweep(self, now: float) -> None:
        if now - self._swept > IDLE_SECONDS:
            self._swept = now
            self._buckets = {k: v for k, v in self._buckets.items() if now - v[1] < IDLE_SECONDS}
