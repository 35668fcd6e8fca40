"""The client of the bare loop, and of everything else here: the official asynchronous dynamic client."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, cast

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.dynamic.client import DynamicClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError
from kubernetes.aio.dynamic.resource import Resource

from cadre_operator.kube.fields import Json
from cadre_operator.kube.kinds import PLURALS
from cadre_operator.kube.port import FIELD_MANAGER, KubeConflictError, KubeError, Ref


class _Response(Protocol):
    async def read(self) -> bytes: ...


class DynamicKube:
    """Creates and applies, many at once."""

    def __init__(self, configuration: Configuration) -> None:
        self._client = ApiClient(configuration=configuration)
        self._dynamic = DynamicClient(self._client)
        self._resources = {kind: self._resource(*kind) for kind in PLURALS}

    @classmethod
    async def of(cls, kubeconfig: Path) -> "DynamicKube":
        """Make one for the cluster of a kubeconfig."""
        configuration = Configuration()
        await config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
        configuration.retries = None
        return cls(configuration)

    def _resource(self, api_version: str, kind: str) -> Resource:
        group, _, version = api_version.rpartition("/")
        plural, namespaced = PLURALS[api_version, kind]
        return Resource(
            prefix="apis" if group else "api",
            group=group,
            api_version=version,
            kind=kind,
            namespaced=namespaced,
            name=plural,
            client=self._dynamic,
        )

    async def create(self, obj: Json) -> Json:
        """Create an object. Raises KubeConflictError when it exists."""
        ref = Ref.of(obj)
        return await _sent(
            lambda: self._dynamic.create(
                self._resources[ref.api_version, ref.kind],
                body=obj,
                namespace=ref.namespace or None,
                field_manager=FIELD_MANAGER,
                serialize=False,
            )
        )

    async def apply(self, obj: Json) -> Json:
        """Apply an object server-side. Raises KubeError."""
        ref = Ref.of(obj)
        return await _sent(
            lambda: self._dynamic.server_side_apply(
                self._resources[ref.api_version, ref.kind],
                body=obj,
                name=ref.name,
                namespace=ref.namespace or None,
                field_manager=FIELD_MANAGER,
                force_conflicts=True,
                serialize=False,
            )
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


async def _sent(call: Callable[[], Awaitable[object]]) -> Json:
    try:
        found = json.loads(await cast("_Response", await call()).read())
    except DynamicApiError as error:
        kind = KubeConflictError if error.status == 409 else KubeError
        raise kind(str(error.reason or ""), int(error.status)) from error
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        raise KubeError(f"the API server did not answer: {error}") from error
    return found if isinstance(found, dict) else {}
