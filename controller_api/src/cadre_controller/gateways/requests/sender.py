"""One attempt of a request: from its parts to an answer of bounded size, or the reason why there is none."""

import asyncio
import email.utils
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urldefrag, urljoin

import aiohttp
from yarl import URL

from cadre_controller.clock import SystemClock
from cadre_controller.errors import CadreError, Denied
from cadre_controller.gateways.model.credentials import Credentials
from cadre_controller.gateways.requests.reach import (
    AddressRefused,
    CheckedResolver,
    Listed,
    literal_address,
    require_reachable,
)
from cadre_controller.services.step_requests import Answer, Asked, Fault
from cadre_core.workflow.expressions import MAX_RESULT, ExpressionError
from cadre_core.workflow.request import Target, target_of

_HOPS = 5
_CONNECT = 10.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class RequestSender:
    """Sends requests of workflows; to plain HTTP and private addresses only where the administrator lists
    them."""

    def __init__(self, http: aiohttp.ClientSession, credentials: Credentials, listed: Listed) -> None:
        self._http = http
        self._credentials = credentials
        self._listed = listed

    async def send(self, asked: Asked) -> Answer | Fault:
        """Try once, redirects of a GET included; never raises what a service can cause."""
        try:
            async with asyncio.timeout(asked.timeout):
                return await self._follow(asked)
        except TimeoutError:
            return Fault("NoAnswer", f"no answer within {asked.timeout:g} s", is_sent=True)
        except (CadreError, ExpressionError) as error:
            return Fault(error.reason, getattr(error, "message", str(error)), is_final=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _fault(error)

    async def _follow(self, asked: Asked) -> Answer | Fault:
        url = asked.url
        for _ in range(_HOPS):
            target = target_of(url, asked.hosts)
            self._require_reachable(target)
            headers = {**_headers(asked), **self._secrets(asked, target)}
            location, answer = await self._once(asked, url, headers)
            if location is None:
                return answer
            if asked.method != "GET":
                return Fault("RedirectRefused", "only a GET is redirected", is_final=True)
            url = urldefrag(urljoin(url, location)).url
        return Fault("RedirectRefused", f"more than {_HOPS} redirects", is_final=True)

    def _require_reachable(self, target: Target) -> None:
        address = literal_address(target.host)
        if address is not None:
            require_reachable(target.host, address, target.port, self._listed)
        if target.scheme == "http" and not self._listed(target.host, target.port):
            raise Denied("PlainHttp", f"{target.host} is asked without TLS", "use https")

    def _secrets(self, asked: Asked, target: Target) -> dict[str, str]:
        """Credentials as headers, each only for a host that it lists."""
        found = {}
        for header, reference in asked.secrets.items():
            owner = f"the header {header}"
            value = self._credentials.resolve(reference, owner).strip()
            hosts = self._credentials.resolve({**reference, "key": "hosts"}, f"the list of hosts of {owner}")
            if f"{target.host}:{target.port}" not in _listing(hosts) and not (
                target.host in _listing(hosts) and target.port == 443
            ):
                raise Denied(
                    "SecretNotForHost",
                    f"the secret {reference['secret']} does not list {target.host}",
                    "add the host to the key `hosts` of the secret",
                )
            found[header] = f"{reference['scheme']} {value}".strip()
        return found

    async def _once(
        self, asked: Asked, url: str, headers: Mapping[str, str]
    ) -> tuple[str | None, Answer | Fault]:
        body = None if asked.body is None else asked.body.encode()
        async with self._http.request(
            asked.method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
        ) as response:
            if response.status in _REDIRECTS and "Location" in response.headers:
                return response.headers["Location"], Answer(response.status)
            return None, await _read(response)


def _fault(error: Exception) -> Fault:
    """What a failed exchange means; whatever may have reached the service counts as sent."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    match cause, error:
        case AddressRefused(), _:
            return Fault("AddressRefused", str(cause), is_final=True)
        case _, aiohttp.ClientConnectorCertificateError():
            return Fault("CertificateRefused", "the service's certificate does not hold", is_final=True)
        case _, aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return Fault("Unreachable", "the service cannot be reached")
        case _, ValueError():
            return Fault("BadRequest", "the URL or a header is none", is_final=True)
        case _:
            return Fault("NoAnswer", f"the connection broke ({type(error).__name__})", is_sent=True)


def _headers(asked: Asked) -> dict[str, str]:
    ours = {"Accept-Encoding": "identity", "User-Agent": "cadre"}
    if asked.method != "GET":
        ours["Idempotency-Key"] = asked.id
    return {**asked.headers, **ours}


async def _read(response: aiohttp.ClientResponse) -> Answer | Fault:
    """The answer, of which a body is read only when it counts."""
    pause = _retry_after(response.headers.get("Retry-After", ""))
    if not 200 <= response.status < 300:
        return Answer(response.status, retry_after=pause)
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return Fault("AnswerEncoded", "the answer is compressed although none was asked for", is_final=True)
    body = bytearray()
    async for chunk in response.content.iter_chunked(16_384):
        body += chunk
        if len(body) > MAX_RESULT:
            message = f"it was carried out, but the answer is larger than {MAX_RESULT} bytes"
            return Fault("AnswerTooLarge", message, is_final=True)
    return Answer(response.status, response.headers.get("Content-Type", ""), bytes(body), pause)


def _retry_after(text: str) -> float | None:
    """Seconds (RFC 9110, 10.2.3)."""
    if text.isdigit():
        return float(text[:6])
    try:
        return (email.utils.parsedate_to_datetime(text) - SystemClock().now()).total_seconds()
    except (ValueError, TypeError):
        return None


def _listing(text: str) -> frozenset[str]:
    return frozenset(part.strip().lower() for part in text.split(","))


@asynccontextmanager
async def request_session(resolver: CheckedResolver) -> AsyncIterator[aiohttp.ClientSession]:
    """Connections of requests: each looked at, none kept, no cookies, no proxy from the environment."""
    connector = aiohttp.TCPConnector(limit=0, resolver=resolver, use_dns_cache=False, force_close=True)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False,
        timeout=timeout,
    ) as session:  # fmt: skip
        yield session
