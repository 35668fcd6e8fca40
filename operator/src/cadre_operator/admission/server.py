"""Receives admission reviews over TLS for kopf.

kopf's own server makes a certificate of its own unless it is given files, and goes away for a moment when
these change; ours listens with a context into which renewed certificates are loaded while it serves.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import kopf
from aiohttp import web

_LOG = logging.getLogger(__name__)
_LARGEST = 8 * 1024 * 1024
"""The API server sends old and new object, each of at most 3 MiB."""


@dataclass(frozen=True, slots=True)
class AdmissionServer:
    """Serves `/<webhook>` for every webhook that kopf knows."""

    listen: str
    port: int
    context: ssl.SSLContext

    def __call__(self, fn: kopf.WebhookFn) -> AsyncIterator[kopf.WebhookClientConfig]:
        """Serve until cancelled."""
        return self._serve(fn)

    async def _serve(self, fn: kopf.WebhookFn) -> AsyncIterator[kopf.WebhookClientConfig]:
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_post("/{webhook}", _handler(fn))
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=10)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.listen, self.port, ssl_context=self.context).start()
            yield kopf.WebhookClientConfig(url=f"https://{self.listen}:{self.port}")
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()


def _handler(fn: kopf.WebhookFn) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            review = await request.json()
            answer = await fn(review, webhook=request.match_info["webhook"], headers=dict(request.headers))
        except Exception as error:
            # no answer means no: the API server refuses the write, and says that it was us
            _LOG.exception("admission review failed", extra={"webhook": request.match_info["webhook"]})
            return web.Response(status=500, text=type(error).__name__)
        return web.json_response(answer)

    return handle
