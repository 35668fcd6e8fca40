"""Whose texts these are: the controller's word in a token, checked with the keys that it publishes."""

import asyncio
import json
import logging
import time

import aiohttp
import jwt
from jwt.algorithms import OKPAlgorithm
from jwt.exceptions import ExpiredSignatureError, InvalidSignatureError, PyJWTError

from cadre_guard.controller.problems import AWAY_ERRORS
from cadre_guard.jsonvalue import as_list, as_object, parse_object

log = logging.getLogger(__name__)

_AUDIENCE = "cadre-analyzer"
_ISSUER = "cadre-controller"
_ALGORITHM = "EdDSA"
_MAX_TOKEN = 4096
_MAX_KEYS = 8
_LEEWAY_SECONDS = 5.0
_RENEW_SECONDS = 60.0
_RETRY_SECONDS = 1.0
_STALE_SECONDS = 900.0
"""A controller that was not reached for so long may have another address: a new start finds it."""
_LIMIT = aiohttp.ClientTimeout(total=15, sock_connect=5)


class CallerRefusedError(Exception):
    """No valid token; `reason` is a CamelCase word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Authority:
    """Knows the keys that sign tokens of guards."""

    def __init__(self, controller: str, http: aiohttp.ClientSession) -> None:
        self._url = f"{controller}/guard/v1/jwks"
        self._http = http
        self._keys: tuple[object, ...] = ()
        self._read_at = time.monotonic()

    @property
    def known(self) -> bool:
        """Keys were read once."""
        return bool(self._keys)

    @property
    def stale(self) -> bool:
        """The controller was not reached for long."""
        return time.monotonic() - self._read_at > _STALE_SECONDS

    def tenant_of(self, header: str) -> str:
        """The tenant of an `Authorization` header; raises CallerRefusedError."""
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > _MAX_TOKEN:
            raise CallerRefusedError("InvalidToken")
        for key in self._keys:
            try:
                return _tenant(token, key)
            except InvalidSignatureError:
                continue
            except ExpiredSignatureError:
                raise CallerRefusedError("TokenExpired") from None
            except PyJWTError:
                raise CallerRefusedError("InvalidToken") from None
        raise CallerRefusedError("InvalidToken")

    async def follow(self) -> None:
        """Read the keys, and again as they may change, until cancelled."""
        while True:
            read = await self._read()
            await asyncio.sleep(_RENEW_SECONDS if read else _RETRY_SECONDS)

    async def _read(self) -> bool:
        try:
            async with self._http.get(self._url, timeout=_LIMIT) as response:
                document = parse_object(await response.read()) if response.status == 200 else None
            stated = as_list((document or {}).get("keys"))[:_MAX_KEYS]
            keys = tuple(OKPAlgorithm.from_jwk(json.dumps(as_object(key))) for key in stated)
        except (*AWAY_ERRORS, PyJWTError, ValueError) as error:
            log.warning("keys not read", extra={"error": type(error).__name__})
            return False
        if not keys:
            log.warning("keys not read", extra={"error": "NoKeys"})
            return False
        self._keys, self._read_at = keys, time.monotonic()
        return True


def _tenant(token: str, key: object) -> str:
    """Raises PyJWTError."""
    claims = jwt.decode(
        token,
        key,  # type: ignore[arg-type]  # what from_jwk returns
        algorithms=[_ALGORITHM],
        audience=_AUDIENCE,
        issuer=_ISSUER,
        leeway=_LEEWAY_SECONDS,
        options={"require": ["exp", "iat", "sub", "aud", "iss"]},
    )
    tenant = claims.get("tenant")
    if not isinstance(tenant, str) or not tenant:
        raise jwt.InvalidTokenError("no tenant")
    return tenant
