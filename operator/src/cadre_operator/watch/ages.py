"""How long each watch has been silent.

The API server sends a bookmark at least once a minute, so a watch that brings no byte for longer than that is
dead, whatever its connection says; kopf reconnects such ones, and the liveness probe sees when even that
fails.
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
    """Remembers every watch that kopf ever opened, by path."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
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
