"""Whom we believe to be the controller: the authorities of a file that is replaced when they are renewed."""

import asyncio
import logging
import ssl
from pathlib import Path

log = logging.getLogger(__name__)

_LOOK_SECONDS = 10.0


def trust_context(ca_file: Path | None) -> ssl.SSLContext | bool:
    """The context for a connector; True = the system's authorities."""
    return ssl.create_default_context(cafile=str(ca_file)) if ca_file else True


async def follow_authorities(ca_file: Path, context: ssl.SSLContext) -> None:
    """Take in new authorities as they come, until cancelled. Old ones hold until the guard is replaced."""
    known = _stamp(ca_file)
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        stamp = _stamp(ca_file)
        if stamp == known:
            continue
        try:
            context.load_verify_locations(cafile=str(ca_file))
        except (OSError, ssl.SSLError) as error:
            log.warning("authorities not read", extra={"error": type(error).__name__})
            continue
        known = stamp
        log.info("authorities renewed")


def _stamp(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
