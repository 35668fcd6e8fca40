"""Who we are to the controller: a bootstrap secret traded for a short-lived JWT, renewed before it ends."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from pydantic import ValidationError

from cadre_api.protocol.base import type_json
from cadre_api.protocol.guard import TokenRequest, TokenResponse
from cadre_guard.controller.problems import problem_of
from cadre_guard.errors import GuardError

_EXCHANGE_LIMIT = aiohttp.ClientTimeout(total=15, sock_connect=5)
_RENEW_BEFORE = timedelta(minutes=3)


class Identity:
    """The current JWT and the key that signs our bundles."""

    def __init__(
        self, base_url: str, http: aiohttp.ClientSession, *, agent: str, instance: str, bootstrap_file: Path
    ) -> None:
        self._url = f"{base_url}/guard/v1/token"
        self._http = http
        self._agent = agent
        self._instance = instance
        self._bootstrap_file = bootstrap_file
        self._current: TokenResponse | None = None
        self._lock = asyncio.Lock()

    @property
    def bundle_key(self) -> type_json:
        """The JWK that came with the token; empty before the first exchange."""
        return self._current.bundle_key if self._current else {}

    async def bearer(self) -> str:
        """The header value; raises GuardError when refused, aiohttp errors when the controller is away."""
        return f"Bearer {(await self._valid()).token}"

    async def analyzer_bearer(self) -> str:
        """The same for the analyzer of our machine, which can do nothing with it at the controller."""
        return f"Bearer {(await self._valid()).analyzer_token}"

    def forget(self) -> None:
        """The controller did not accept the token: trade again before the next call."""
        self._current = None

    async def _valid(self) -> TokenResponse:
        async with self._lock:
            if self._current is None or self._current.expires_at - datetime.now(UTC) < _RENEW_BEFORE:
                self._current = await self._exchange()
            return self._current

    async def _exchange(self) -> TokenResponse:
        secret = await asyncio.to_thread(self._bootstrap_file.read_text)
        request = TokenRequest(bootstrap=secret.strip(), agent=self._agent, instance=self._instance)
        sent = request.model_dump(mode="json", by_alias=True)
        async with self._http.post(self._url, json=sent, timeout=_EXCHANGE_LIMIT) as response:
            body = await response.read()
            if response.status != 200:
                raise problem_of(response.status, body)
            try:
                return TokenResponse.model_validate_json(body)
            except ValidationError:
                raise GuardError("BadAnswer", "the controller's token answer is not understood") from None
