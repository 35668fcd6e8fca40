"""Which addresses a request may reach: public ones, and those that the administrator lists.

The check stands where names become addresses and its answer is what is connected to, so a name that changes
in between (DNS rebinding) gains nothing.
"""

import ipaddress
import socket
from collections.abc import Callable

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from typing_extensions import override

Listed = Callable[[str, int], bool]
"""Whether the administrator lists a host (a name or an address) and port."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(OSError):  # noqa: N818 - a refusal, named as its reason
    """The host is at an address that requests do not reach."""


class CheckedResolver(AbstractResolver):
    """Names to addresses; refuses a name that has a single address which may not be reached."""

    def __init__(self, listed: Listed, inner: AbstractResolver | None = None) -> None:
        self._listed = listed
        self._inner = inner or ThreadedResolver()

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises AddressRefused, OSError."""
        found = await self._inner.resolve(host, port, family)
        for one in found:
            require_reachable(host, one["host"], port, self._listed)
        return found

    @override
    async def close(self) -> None:
        """Nothing is kept open."""
        await self._inner.close()


def require_reachable(host: str, address: str, port: int, listed: Listed) -> None:
    """Raises AddressRefused unless the address is public, or it or its name is listed."""
    if not (is_public(address) or listed(host, port) or listed(address, port)):
        raise AddressRefused(f"{host} is at a private or local address")


def literal_address(host: str) -> str | None:
    """The host where it is an address itself, which no resolver sees."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def is_public(address: str) -> bool:
    """Whether everyone reaches the same there; an IPv4 address in an IPv6 one counts as itself."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if found.teredo is not None:
            return False
    return found.is_global and not found.is_multicast
