"""An HTTP client as guards and people have it: two controllers, either of which may be gone at any moment."""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiohttp

PATIENCE = 120.0
"""Seconds after which a request that nobody answered counts as never answered."""


class Unanswered(Exception):  # noqa: N818 - what it says
    """Nobody answered in all that time; whether the request had its effect is unknown."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that counts: no 5xx, no 429."""

    status: int
    body: Mapping[str, object]
    text: str

    @property
    def reason(self) -> str:
        """Of a refusal."""
        return str(self.body.get("reason", ""))


class Link:
    """Requests to whichever controller answers, repeated until one does."""

    def __init__(self, http: aiohttp.ClientSession, bases: Sequence[str], chance: random.Random) -> None:
        self._http = http
        self._bases = bases
        self._chance = chance
        self.token = ""

    async def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request with as many repetitions as it takes. Raises Unanswered."""
        given = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    base = self._chance.choice(self._bases)
                    reply = await self._once(method, base + path, body, given)
                    if reply is not None:
                        return reply
                    await asyncio.sleep(self._chance.uniform(0.05, 0.4))
        except TimeoutError:
            raise Unanswered(f"{method} {path}") from None

    async def get(self, path: str) -> Reply:
        """GET."""
        return await self.call("GET", path)

    async def post(self, path: str, body: object, **headers: str) -> Reply:
        """POST; header names are written with underscores."""
        return await self.call("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()})

    async def _once(self, method: str, url: str, body: object, headers: Mapping[str, str]) -> Reply | None:
        try:
            async with self._http.request(method, url, json=body, headers=headers) as response:
                text = await response.text()
        except (aiohttp.ClientError, OSError):
            return None
        if response.status >= 500 or response.status == 429:
            return None
        return Reply(response.status, _object(text), text)


def _object(text: str) -> Mapping[str, object]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
