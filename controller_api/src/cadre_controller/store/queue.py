"""What waits to be committed: a lane for what must not wait, and below it each tenant in its turn."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from cadre_controller.store.work import Outcome, Work

URGENT = ""
"""The lane of heartbeats: a lease must not lapse because others have much to write."""


@dataclass(slots=True)
class Item:
    """A work and who waits for it."""

    work: Work
    future: "asyncio.Future[Outcome]" = field(repr=False)
    keys: frozenset[str] = frozenset()


class WorkQueue:
    """Lanes of items, each in order; a batch takes from every lane in turn."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[Item]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, item: Item) -> None:
        """Put an item at the end of its lane."""
        lane = URGENT if item.work.urgent else item.work.tenant
        self._lanes.setdefault(lane, deque()).append(item)
        self._count += 1

    def is_full(self, tenant: str, most: int) -> bool:
        """Whether all places are taken, or this tenant has more than its share of them."""
        own = len(self._lanes.get(tenant, ()))
        return self._count >= most or own * max(len(self._lanes), 1) >= most

    def drain(self) -> Iterator[Item]:
        """Everything, out of the queue."""
        lanes, self._lanes, self._count = self._lanes, {}, 0
        for lane in lanes.values():
            yield from lane

    def take(self, most: int) -> list[Item]:
        """The next batch: each lane in order, no two items with a common key, none whose caller has gone."""
        batch: list[Item] = []
        busy: set[str] = set()
        later: dict[str, deque[Item]] = {}
        # the lane that was served last comes last, but for the urgent one
        lanes = dict(sorted(self._lanes.items(), key=lambda lane: lane[0] != URGENT))
        while lanes and len(batch) < most:
            for name in tuple(lanes):
                if not lanes[name]:
                    del lanes[name]
                    continue
                item = lanes[name].popleft()
                if item.future.done():
                    continue
                if busy & item.keys or len(batch) >= most:
                    later.setdefault(name, deque()).append(item)
                else:
                    batch.append(item)
                busy |= item.keys
        for name, rest in lanes.items():
            later.setdefault(name, deque()).extend(rest)
        self._lanes = {name: lane for name, lane in later.items() if lane}
        self._count = sum(map(len, self._lanes.values()))
        return batch
