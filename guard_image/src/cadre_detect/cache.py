"""Spans of texts already scanned, so that a growing conversation costs only what is new in it."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from cadre_detect.findings import Finding


class SpanCache:
    """Bounded least-recently-used map from a keyed digest of (revision, text) to spans; never holds text."""

    def __init__(self, key: bytes, max_entries: int = 4096, max_spans: int = 100_000) -> None:
        """`key`: 16 to 64 bytes, secret to the process, so that digests cannot be matched against guesses."""
        if not 16 <= len(key) <= 64:
            raise ValueError("a cache key has 16 to 64 bytes")
        self._key = key
        self._max = max_entries
        self._most_spans = max_spans
        self._count = 0
        self._lock = threading.Lock()
        self._spans: OrderedDict[bytes, tuple[Finding, ...]] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def digest(self, revision: bytes, text: str) -> bytes:
        """The key under which spans of this text are held."""
        mac = hashlib.blake2b(key=self._key, digest_size=32)
        mac.update(len(revision).to_bytes(4, "big") + revision)
        mac.update(text.encode("utf-8", "surrogatepass"))
        return mac.digest()

    def get(self, digest: bytes) -> tuple[Finding, ...] | None:
        """The spans, or None when this text was not scanned (or was forgotten)."""
        with self._lock:
            spans = self._spans.get(digest)
            if spans is None:
                self.misses += 1
                return None
            self.hits += 1
            self._spans.move_to_end(digest)
            return spans

    def put(self, digest: bytes, spans: tuple[Finding, ...]) -> None:
        """Remember the spans, forgetting the least recently used beyond the bound."""
        with self._lock:
            self._count += len(spans) - len(self._spans.get(digest, ()))
            self._spans[digest] = spans
            self._spans.move_to_end(digest)
            while len(self._spans) > self._max or self._count > self._most_spans:
                self._count -= len(self._spans.popitem(last=False)[1])

    def __len__(self) -> int:
        return len(self._spans)
