"""Where the cluster is and who we are there: one answer for kopf's watches and for our own requests.

Tokens of pods are rotated by the kubelet, so each request carries what the file says now.
"""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration

from cadre_operator.kube.trimmed import TrimmedResponse

Observer = Callable[[str, int, float], None]
"""Told (method, status or 0, seconds to the first byte) of every request."""
Reader = Callable[[aiohttp.ClientResponse], None]
"""Told of every answer to kopf, while it is still being read."""


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
        context = ssl.create_default_context(cafile=self.configuration.ssl_ca_cert)
        if self.configuration.cert_file:
            context.load_cert_chain(self.configuration.cert_file, self.configuration.key_file)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context),
            middlewares=(self.authenticate, self.measure, self.tell),
            response_class=TrimmedResponse,
        )

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


async def connect(kubeconfig: Path | None, observe: Observer, read: Reader) -> Connection:
    """Read the kubeconfig, or the pod's own account when there is none."""
    configuration = Configuration()
    if kubeconfig is None:
        config.load_incluster_config(client_configuration=configuration)
    else:
        await config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
    if urlsplit(str(configuration.host)).scheme not in ("http", "https"):
        raise ValueError(f"no usable API server address: {configuration.host!r}")
    configuration.retries = None
    connection = Connection(configuration, observe, read)
    configuration.client_session_kwargs = {"middlewares": (connection.measure,)}
    return connection
