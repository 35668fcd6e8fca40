"""The work queue: each key at most once, tenants in turns, failures backing off, never more than a bound.

kopf hands us every event; what must survive is only which keys to look at again. A key that is added while it
is worked on runs once more afterwards. Time is an argument of the constructor, so tests turn the clock.
"""

import asyncio
import heapq
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from cadre_operator.keys import Key, Priority


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a failing key waits: `first * 2^n` seconds, at most `most`."""

    first: float = 0.2
    most: float = 60.0

    def after(self, failures: int) -> float:
        """Return the wait after so many failures in a row."""
        return min(self.most, self.first * 2.0 ** min(failures - 1, 30))


@dataclass(slots=True)
class _Waiting:
    priority: Priority
    since: float


@dataclass(slots=True)
class _Lane:
    """The keys of one priority, by tenant."""

    turns: OrderedDict[str, deque[Key]] = field(default_factory=OrderedDict)

    def push(self, key: Key) -> None:
        self.turns.setdefault(key.namespace, deque()).append(key)

    def pop(self) -> Key | None:
        if not self.turns:
            return None
        tenant, keys = self.turns.popitem(last=False)
        key = keys.popleft()
        if keys:
            self.turns[tenant] = keys
        return key


class WorkQueue:
    """Holds keys until a worker takes them."""

    def __init__(
        self,
        clock: Callable[[], float],
        limit: int = 100_000,
        spacing: float = 0.0,
        backoff: Backoff | None = None,
    ) -> None:
        self._clock = clock
        self._limit = limit
        self._spacing = spacing
        self._backoff = backoff or Backoff()
        self._lanes = {priority: _Lane() for priority in Priority}
        self._ready: dict[Key, _Waiting] = {}
        self._later: dict[Key, tuple[float, Priority]] = {}
        self._heap: list[tuple[float, Key]] = []
        self._running: dict[Key, _Waiting | None] = {}
        self._failures: dict[Key, int] = {}
        self._ended: OrderedDict[Key, float] = OrderedDict()
        self._wake = asyncio.Event()
        self._paused_until = 0.0
        self.overflowed = False
        """Keys were dropped at the bound: everything has to be looked at again."""

    def __len__(self) -> int:
        return len(self._ready) + len(self._later)

    @property
    def running(self) -> int:
        """How many keys are worked on."""
        return len(self._running)

    def failures(self, key: Key) -> int:
        """Return how often in a row a key failed."""
        return self._failures.get(key, 0)

    def oldest(self) -> float:
        """Return how long the longest waiting ready key waits, in seconds."""
        return self._clock() - min((w.since for w in self._ready.values()), default=self._clock())

    def add(self, key: Key, priority: Priority = Priority.CHANGED, after: float = 0.0) -> None:
        """Have a key looked at, `after` seconds at the earliest; a sooner wish wins over a later one."""
        now = self._clock()
        if after <= 0 and key in self._running:
            again = self._running[key]
            if again is None or priority < again.priority:
                self._running[key] = _Waiting(priority, now)
            return
        if len(self) >= self._limit and key not in self._ready and key not in self._later:
            self.overflowed = True
            return
        due = max(now + after, self._ended.get(key, now - self._spacing) + self._spacing)
        if due > now:
            self._delay(key, priority, due)
        else:
            self._make_ready(key, priority, now)
        self._wake.set()

    def _delay(self, key: Key, priority: Priority, due: float) -> None:
        if key in self._ready:
            return
        known = self._later.get(key)
        if known is not None and known[0] <= due:
            self._later[key] = (known[0], min(known[1], priority))
            return
        self._later[key] = (due, priority if known is None else min(priority, known[1]))
        heapq.heappush(self._heap, (due, key))

    def _make_ready(self, key: Key, priority: Priority, now: float) -> None:
        waiting = self._ready.get(key)
        if waiting is not None and waiting.priority <= priority:
            return
        self._later.pop(key, None)
        # an entry left behind in a lower lane is skipped when its turn comes
        self._ready[key] = _Waiting(priority, waiting.since if waiting else now)
        self._lanes[priority].push(key)

    async def get(self) -> Key:
        """Wait for a key and take it; `done` has to follow."""
        while True:
            key = self._next()
            if key is not None:
                return key
            self._wake.clear()
            wait = self._until_due()
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _next(self) -> Key | None:
        now = self._clock()
        if now < self._paused_until:
            return None
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            known = self._later.get(key)
            if known is not None and known[0] == due:
                del self._later[key]
                self._make_ready(key, known[1], now)
        return self._pop()

    def _pop(self) -> Key | None:
        for priority, lane in self._lanes.items():
            while (key := lane.pop()) is not None:
                waiting = self._ready.get(key)
                if waiting is None or waiting.priority != priority:
                    continue
                del self._ready[key]
                if key in self._running:  # its time came while a worker still has it
                    self._running[key] = waiting
                    continue
                self._running[key] = None
                return key
        return None

    def _until_due(self) -> float | None:
        now = self._clock()
        if now < self._paused_until:
            return self._paused_until - now
        return max(0.0, self._heap[0][0] - now) if self._heap else None

    def done(self, key: Key, failed: bool = False, retry_after: float = 0.0) -> None:
        """Give a key back; a failed one comes again after its back-off or `retry_after` if that is longer."""
        again = self._running.pop(key, None)
        self._remember_end(key)
        if failed:
            self._failures[key] = self._failures.get(key, 0) + 1
            wait = max(retry_after, self._backoff.after(self._failures[key]))
            self.add(key, again.priority if again else Priority.AFFECTED, wait)
            return
        self._failures.pop(key, None)
        if again is not None:
            self.add(key, again.priority)

    def _remember_end(self, key: Key) -> None:
        if self._spacing <= 0:
            return
        now = self._clock()
        self._ended[key] = now
        self._ended.move_to_end(key)
        while self._ended and next(iter(self._ended.values())) < now - self._spacing:
            self._ended.popitem(last=False)

    def pause(self, seconds: float) -> None:
        """Hand out nothing for a while: the API server asked for it."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def clear(self) -> None:
        """Forget everything that waits."""
        for lane in self._lanes.values():
            lane.turns.clear()
        self._ready.clear()
        self._later.clear()
        self._heap.clear()
        self._failures.clear()
        self.overflowed = False
