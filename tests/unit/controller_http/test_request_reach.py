"""Where requests of workflows may go: public addresses, and what the administrator lists."""

import socket
from collections.abc import Iterator

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from cadre_controller.gateways.requests.reach import AddressRefused, CheckedResolver, is_public
from cadre_controller.gateways.requests.sender import _fault, _retry_after
from cadre_controller.settings import LocalHosts


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:7f00:1::", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


class Rebinding(AbstractResolver):
    """A name that has another address each time it is asked for."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self._answers: Iterator[tuple[str, ...]] = iter(answers)

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=a, port=port, family=socket.AF_INET, proto=0, flags=0)
            for a in next(self._answers)
        ]

    @override
    async def close(self) -> None:
        return


async def test_the_address_that_was_looked_at_is_the_one_that_is_used() -> None:
    public, private = "93.184.216.34", "127.0.0.1"
    rebinding = CheckedResolver(LocalHosts().includes, Rebinding((public,), (private,), (public, private)))
    assert [one["host"] for one in await rebinding.resolve("a.example", 443)] == [public]
    for _ in range(2):
        with pytest.raises(AddressRefused):
            await rebinding.resolve("a.example", 443)
    await rebinding.close()


@pytest.mark.parametrize("listed", ["erp.example:443", "10.0.0.5:443", "10.0.0.0/8"])
async def test_private_addresses_that_the_administrator_lists(listed: str) -> None:
    includes = LocalHosts.parse(listed).includes
    assert await CheckedResolver(includes, Rebinding(("10.0.0.5",))).resolve("erp.example", 443)
    with pytest.raises(AddressRefused):
        await CheckedResolver(includes, Rebinding(("127.0.0.1",))).resolve("other.example", 443)


def test_what_broke_and_when_to_come_again() -> None:
    assert _fault(aiohttp.ServerDisconnectedError()).is_sent
    assert not _fault(aiohttp.ConnectionTimeoutError()).is_sent
    assert (_fault(ValueError()).reason, _fault(AddressRefused("x")).is_final) == ("BadRequest", True)
    assert (_retry_after("7"), _retry_after(""), _retry_after("soon")) == (7.0, None, None)
    late = _retry_after("Wed, 21 Oct 2015 07:28:00 GMT")
    assert late is not None and late < 0
