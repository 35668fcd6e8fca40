"""A certificate that is renewed is shown to new connections, without a restart."""

import asyncio
import ssl
from pathlib import Path

import pytest

from cadre_guard.controller import trust
from cadre_guard.controller.trust import follow_certificate, server_context
from tests.support.certs import Authority


async def _shown(port: int, authority: Authority) -> bytes:
    context = ssl.create_default_context(cafile=str(authority.file))
    _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return shown


async def test_a_new_certificate_takes_effect_and_half_a_change_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "_LOOK_SECONDS", 0.02)
    authority = Authority.create(tmp_path / "ca")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    pairs = [authority.server("127.0.0.1") for _ in range(2)]
    certificate.write_bytes(pairs[0][0].read_bytes())
    key.write_bytes(pairs[0][1].read_bytes())
    context = server_context(certificate, key)
    following = asyncio.create_task(follow_certificate(certificate, key, context))

    async def end(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(end, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        first = await _shown(port, authority)
        certificate.write_bytes(pairs[1][0].read_bytes())  # its key is still the former one
        await asyncio.sleep(0.1)
        assert await _shown(port, authority) == first
        key.write_bytes(pairs[1][1].read_bytes())
        async with asyncio.timeout(60):
            while await _shown(port, authority) == first:
                await asyncio.sleep(0.02)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
