"""TLS of both ports from files that are replaced while we serve: new connections get the new certificate."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0


class TlsFiles:
    """A certificate with its key; the chain first, as `tls.crt` of a Secret has it."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._seen = self._stamps()
        self.context = self._load()

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[ssl.SSLContext]:
        """The context, kept up to date while the block runs."""
        task = asyncio.create_task(self._follow())
        try:
            yield self.context
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            stamps = self._stamps()
            if stamps == self._seen:
                continue
            try:
                self._load()  # into a context of its own first: half a change must not reach the live one
                self.context.load_cert_chain(self._certificate, self._key)
            except (OSError, ssl.SSLError) as error:
                _LOG.error("certificate not taken", extra={"error": type(error).__name__})
                continue
            self._seen = stamps
            _LOG.info("certificate renewed")

    def _load(self) -> ssl.SSLContext:
        """Raises OSError or ssl.SSLError."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._certificate, self._key)
        return context

    def _stamps(self) -> tuple[int, ...]:
        try:
            return tuple(file.stat().st_mtime_ns for file in (self._certificate, self._key))
        except OSError:
            return ()
