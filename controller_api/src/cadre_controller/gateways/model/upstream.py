"""One request to one provider: where it goes, with which credential, and what its refusals mean."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from cadre_controller.gateways.model.faults import ModelFault
from cadre_controller.gateways.model.select import Candidate

_MAX_RETRY_AFTER = 10.0
_CHAT = "/chat/completions"
_OPENAI_PATH = {"openai": "", "ollama": "/v1", "anthropic": "/v1", "gemini": "/openai"}
"""Every dialect is reached through its provider's OpenAI-compatible endpoint: (dialect -> what the base URL
lacks).
"""


def chat_url(dialect: str, base_url: str) -> str:
    """The chat completions URL of a provider; the version part is added where the base URL has none."""
    base = base_url.rstrip("/")
    part = _OPENAI_PATH.get(dialect, "")
    return base + _CHAT if not part or base.endswith(part) else base + part + _CHAT


@asynccontextmanager
async def open_chat(
    http: aiohttp.ClientSession, candidate: Candidate, body: bytes, credential: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The provider's answer with status 200; raises ModelFault for everything else, also while it is read."""
    provider = candidate.provider
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=provider.timeout_seconds)
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    if credential:
        headers["Authorization"] = f"Bearer {credential}"
    url = chat_url(provider.dialect, provider.base_url)
    try:
        async with http.post(
            url, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            _refuse_bad_status(response.status, response.headers)
            yield response
    except aiohttp.ConnectionTimeoutError as error:
        raise ModelFault("ModelUnavailable", "the provider cannot be reached in time") from error
    except TimeoutError as error:
        raise ModelFault("ModelTimeout", "the provider went silent") from error
    except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
        raise ModelFault("ModelUnavailable", "the provider cannot be reached") from error
    except aiohttp.ClientError as error:
        raise ModelFault("ModelStreamCut", "the connection to the provider broke") from error


def _refuse_bad_status(status: int, headers: Mapping[str, str]) -> None:
    if status == 200:
        return
    if status in (401, 403):
        raise ModelFault("CredentialRefused", "the provider refused our credential", retryable=False)
    if status in (408, 409, 425, 429) or status >= 500:
        reason = "ModelRateLimited" if status == 429 else "ModelUnavailable"
        raise ModelFault(reason, f"the provider answered {status}", retry_after=_retry_after(headers))
    raise ModelFault("ModelRefused", f"the provider refused the request with {status}", retryable=False)


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return min(_MAX_RETRY_AFTER, max(0.0, float(headers.get("Retry-After", "0"))))
    except ValueError:
        return 0.0
