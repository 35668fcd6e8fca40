"""What is kept of each tenant, apart from every other: spans of its texts, its configurations, its share."""

import asyncio
import contextlib
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from cadre_detect import DetectConfig, SpanCache

_MAX_TENANTS = 32
_MAX_SPANS = 20_000
_MAX_CONFIGURATIONS = 32
_MAX_CONFIGURATION_BYTES = 8 * 1024 * 1024
"""Of one tenant."""
_MAX_JOBS = 64
_MAX_BYTES = 48 * 1024 * 1024


class BusyError(Exception):
    """More wait than one tenant (`own`), or than this machine, may have waiting."""

    def __init__(self, *, own: bool) -> None:
        super().__init__("busy")
        self.own = own


@dataclass(slots=True)
class Tenant:
    """Memory and share of one tenant. Its key is its own: digests of two tenants cannot be compared."""

    turns: asyncio.Semaphore
    """Keeps a worker free for the others, where there are several."""
    cache: SpanCache = field(default_factory=lambda: SpanCache(secrets.token_bytes(32), max_spans=_MAX_SPANS))
    jobs: int = 0
    bytes: int = 0
    _configurations: "OrderedDict[str, tuple[DetectConfig, int]]" = field(default_factory=OrderedDict)

    def configuration(self, name: str) -> DetectConfig | None:
        """One that a guard of this tenant sent."""
        if name not in self._configurations:
            return None
        self._configurations.move_to_end(name)
        return self._configurations[name][0]

    def keep(self, name: str, config: DetectConfig, size: int) -> None:
        """Remember a configuration of `size` bytes, forgetting those that were used least recently."""
        if name in self._configurations:  # the one that is there is known to workers by its identity
            self._configurations.move_to_end(name)
            return
        self._configurations[name] = config, size
        while len(self._configurations) > 1 and self._too_much():
            self._configurations.popitem(last=False)

    def _too_much(self) -> bool:
        held = self._configurations
        return (
            len(held) > _MAX_CONFIGURATIONS
            or sum(size for _, size in held.values()) > _MAX_CONFIGURATION_BYTES
        )


class Tenants:
    """All that have agents on this machine, as far as they fit."""

    def __init__(self, workers: int) -> None:
        self._share = max(1, workers - 1)
        self._tenants: OrderedDict[str, Tenant] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._tenants)

    def all(self) -> tuple[Tenant, ...]:
        """Those that are known."""
        return tuple(self._tenants.values())

    @contextlib.contextmanager
    def entered(self, name: str, size: int) -> Iterator[Tenant]:
        """The tenant, for a request of `size` bytes; raises BusyError."""
        tenant = self._tenant(name)
        if tenant.jobs >= _MAX_JOBS or (tenant.jobs and tenant.bytes + size > _MAX_BYTES):
            raise BusyError(own=True)
        if self._bytes and self._bytes + size > 2 * _MAX_BYTES:
            raise BusyError(own=False)
        tenant.jobs += 1
        tenant.bytes += size
        self._bytes += size
        try:
            yield tenant
        finally:
            tenant.jobs -= 1
            tenant.bytes -= size
            self._bytes -= size

    def _tenant(self, name: str) -> Tenant:
        found = self._tenants.get(name)
        if found is None:
            self._make_room()
            found = self._tenants[name] = Tenant(asyncio.Semaphore(self._share))
        self._tenants.move_to_end(name)
        return found

    def _make_room(self) -> None:
        if len(self._tenants) < _MAX_TENANTS:
            return
        idle = next((name for name, tenant in self._tenants.items() if not tenant.jobs), None)
        if idle is None:
            raise BusyError(own=False)
        del self._tenants[idle]
