"""One request to one provider: where it goes, with which credential, and what its refusals mean."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from cadre_controller.gateways.model.apis import Api, credential_headers
from cadre_controller.gateways.model.faults import ModelFault
from cadre_controller.gateways.model.select import Candidate

_MAX_RETRY_AFTER = 10.0


@asynccontextmanager
async def open_model(
    http: aiohttp.ClientSession, candidate: Candidate, api: Api, body: bytes, credential: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The provider's answer with status 200; raises ModelFault for everything else, also while it is read."""
    provider = candidate.provider
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=provider.timeout_seconds)
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    headers |= credential_headers(api, provider.dialect, credential)
    url = api.url(provider.dialect, provider.base_url, candidate.model)
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
