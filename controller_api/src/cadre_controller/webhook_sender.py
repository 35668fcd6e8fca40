"""The loop that sends webhooks over HTTP; a receiver that is slow or down holds up nothing else."""

import asyncio
import logging
from collections.abc import Mapping

import aiohttp

from cadre_controller.errors import CadreError
from cadre_controller.services.assembly import Services

_LOG = logging.getLogger(__name__)
_EVERY = 1.0
_TIMEOUT = aiohttp.ClientTimeout(total=15)


async def send_webhooks(services: Services, http: aiohttp.ClientSession, url: str, secret: bytes) -> None:
    """Send what is due, for ever; redirects are not followed."""
    services.reminders.webhook = True

    async def post(body: bytes, headers: Mapping[str, str]) -> str:
        try:
            async with http.post(
                url, data=body, headers=headers, timeout=_TIMEOUT, allow_redirects=False
            ) as answer:
                return "" if 200 <= answer.status < 300 else f"status {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return type(error).__name__

    while True:
        await asyncio.sleep(_EVERY)
        try:
            await services.webhooks.sweep(services.chart.tenants(), post, secret)
        except CadreError as error:
            _LOG.warning("webhooks not sent", extra={"reason": error.reason})
