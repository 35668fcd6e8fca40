"""Where the cluster is and who we are there: one answer for kopf's watches and for our own requests.

Tokens of pods are rotated by the kubelet, so each request carries what the file says now.
"""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration
from typing_extensions import override

METADATA_ONLY = frozenset(
    {"serviceaccounts", "networkpolicies", "configmaps", "services", "poddisruptionbudgets"}
)
"""Plurals of what agents are made of and nobody reads the content of: it is ours, or its writer is named."""
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_CONNECTIONS = 100
_KEPT_SECONDS = 60.0
"""How long a connection without requests stays open: the next burst needs no handshakes."""

Observer = Callable[[str, int, float], None]
"""Told (method, status or 0, seconds to the first byte) of every request."""
Reader = Callable[[aiohttp.ClientResponse], None]
"""Told of every answer to kopf, while it is still being read."""


class _ListedResponse(aiohttp.ClientResponse):
    """An answer whose list is one: of metadata alone the API server says null for none, and kopf ends."""

    @override
    async def json(self, **how: Any) -> Any:
        found = await super().json(**how)
        if isinstance(found, dict) and "items" in found and found["items"] is None:
            found["items"] = []
        return found


@dataclass(slots=True)
class Connection:
    """An authenticated way to the API server."""

    configuration: Configuration
    observe: Observer
    read: Reader

    @property
    def server(self) -> str:
        """URL of the API server."""
        return str(self.configuration.host)

    def session(self) -> aiohttp.ClientSession:
        """Open a session for kopf: no total time-out, since watches are long."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._context()),
            middlewares=(self.authenticate, self.measure, self.tell, brief),
            response_class=_ListedResponse,
        )

    def requests(self, timeout: float) -> aiohttp.ClientSession:
        """Open a session for requests of our own, each of which takes so many seconds at most."""
        connector = aiohttp.TCPConnector(
            limit=_CONNECTIONS, keepalive_timeout=_KEPT_SECONDS, ssl=self._context()
        )
        return aiohttp.ClientSession(
            connector=connector,
            middlewares=(self.authenticate, self.measure),
            timeout=aiohttp.ClientTimeout(total=timeout),
        )

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.configuration.ssl_ca_cert)
        if self.configuration.cert_file:
            context.load_cert_chain(self.configuration.cert_file, self.configuration.key_file)
        return context

    async def authenticate(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Add the token of this moment."""
        hook = self.configuration.refresh_api_key_hook
        if hook is not None:
            found = hook(self.configuration)
            if found is not None:
                await found
        token = self.configuration.api_key.get("BearerToken")
        if token:
            request.headers["Authorization"] = token[:1].upper() + token[1:]
        return await handler(request)

    async def measure(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Tell the observer how a request went."""
        started = time.monotonic()
        try:
            response = await handler(request)
        except (aiohttp.ClientError, OSError):
            self.observe(request.method, 0, time.monotonic() - started)
            raise
        self.observe(request.method, response.status, time.monotonic() - started)
        return response

    async def tell(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Tell the reader of an answer."""
        response = await handler(request)
        self.read(response)
        return response


async def brief(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Ask for the metadata alone where nobody reads more."""
    if request.url.name in METADATA_ONLY:
        request.headers["Accept"] = METADATA if request.url.query.get("watch") else _METADATA_LIST
    return await handler(request)


async def connect(kubeconfig: Path | None, observe: Observer, read: Reader) -> Connection:
    """Read the kubeconfig, or the pod's own account when there is none."""
    configuration = Configuration()
    if kubeconfig is None:
        config.load_incluster_config(client_configuration=configuration)
    else:
        await config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
    if urlsplit(str(configuration.host)).scheme not in ("http", "https"):
        raise ValueError(f"no usable API server address: {configuration.host!r}")
    return Connection(configuration, observe, read)
