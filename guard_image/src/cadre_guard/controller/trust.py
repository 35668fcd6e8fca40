"""Whom we believe to be the controller: the authorities of a file that is replaced when they are renewed."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

_LOOK_SECONDS = 10.0


def trust_context(ca_file: Path | None) -> ssl.SSLContext | bool:
    """The context for a connector; True = the system's authorities."""
    return ssl.create_default_context(cafile=str(ca_file)) if ca_file else True


async def follow_authorities(ca_file: Path, context: ssl.SSLContext) -> None:
    """Take in new authorities as they come, until cancelled. Old ones hold until the guard is replaced."""
    await _follow((ca_file,), lambda: context.load_verify_locations(cafile=str(ca_file)), "authorities")


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """The context of a server; raises OSError or ssl.SSLError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


async def follow_certificate(certificate: Path, key: Path, context: ssl.SSLContext) -> None:
    """Show a new certificate to new connections as it comes, until cancelled."""

    def take() -> None:
        server_context(certificate, key)  # half a change must not reach the live one
        context.load_cert_chain(certificate, key)

    await _follow((certificate, key), take, "certificate")


async def _follow(files: tuple[Path, ...], take: Callable[[], None], what: str) -> None:
    known = _stamps(files)
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        stamps = _stamps(files)
        if stamps == known:
            continue
        try:
            take()
        except (OSError, ssl.SSLError) as error:
            log.warning("not taken", extra={"what": what, "error": type(error).__name__})
            continue
        known = stamps
        log.info("renewed", extra={"what": what})


def _stamps(files: tuple[Path, ...]) -> tuple[int, ...]:
    try:
        return tuple(file.stat().st_mtime_ns for file in files)
    except OSError:
        return ()
