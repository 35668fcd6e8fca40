"""How long each watch has been silent, and which kinds were listed anew.

The API server sends a bookmark at least once a minute, so a watch that brings no byte for longer than that is
dead, whatever its connection says; kopf reconnects such ones, and the liveness probe sees when even that
fails. A second list of a kind means that the watch had lost its place, and nobody tells what was deleted.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp


@dataclass(slots=True)
class _Stream:
    response: "weakref.ref[aiohttp.ClientResponse]"
    seen_bytes: int = -1


class WatchAges:
    """Remembers every list and watch that kopf ever opened, by path."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.relisted: Callable[[str], None] = lambda _: None
        """Told the plural of a kind that was listed again."""
        self._streams: dict[str, _Stream] = {}
        self._alive: dict[str, float] = {}

    def read(self, response: aiohttp.ClientResponse) -> None:
        """An answer arrived at kopf's session."""
        if response.method != "GET" or response.status != 200:
            return
        path, query = response.url.path, response.url.query
        if query.get("watch"):
            self._streams[path] = _Stream(weakref.ref(response))
            self._alive[path] = self._clock()
        elif path in self._streams and not query.get("continue"):
            self.relisted(path.rpartition("/")[2])

    def watched(self) -> int:
        """Return how many watches were opened, each counted once."""
        return len(self._streams)

    def ages(self) -> dict[str, float]:
        """Return seconds since each watch last brought anything."""
        for path, stream in self._streams.items():
            response = stream.response()
            received = response.content.total_bytes if response is not None else -1
            if received > stream.seen_bytes:
                stream.seen_bytes = received
                self._alive[path] = self._clock()
        now = self._clock()
        return {path: now - alive for path, alive in self._alive.items()}
