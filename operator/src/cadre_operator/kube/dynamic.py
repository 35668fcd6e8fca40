"""The port's real side: the official asynchronous dynamic client, fed with plain mappings."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, cast

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.dynamic.client import DynamicClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError
from kubernetes.aio.dynamic.resource import Resource

from cadre_operator.kube.connection import Connection
from cadre_operator.kube.fields import Json, items, number, text
from cadre_operator.kube.kinds import PLURALS
from cadre_operator.kube.port import KubeConflictError, KubeError, Ref

FIELD_MANAGER = "cadre-operator"
_PAGE = 500
_MERGE_PATCH = "application/merge-patch+json"


class _Response(Protocol):
    async def read(self) -> bytes: ...


class DynamicKube:
    """A cluster over HTTP; safe for many requests at once."""

    def __init__(self, connection: Connection, request_timeout: float = 30.0) -> None:
        self._client = ApiClient(configuration=connection.configuration)
        self._dynamic = DynamicClient(self._client)
        self._timeout = request_timeout
        self._resources = {kind: self._resource(*kind) for kind in PLURALS}

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

    async def get(self, ref: Ref) -> Json | None:
        """Read an object; None when there is none."""
        try:
            return await self._send(lambda: self._dynamic.get(self._of(ref), **self._at(ref)))
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    async def list(self, api_version: str, kind: str, namespace: str = "", labels: str = "") -> list[Json]:
        """Read all objects of a kind, in one namespace or all, page by page."""
        found: list[Json] = []
        token = ""
        while True:
            page = await self._page((api_version, kind), namespace, labels, token)
            found += [{**item, "apiVersion": api_version, "kind": kind} for item in items(page, "items")]
            token = text(page, "metadata", "continue")
            if not token:
                return found

    async def _page(self, kind: tuple[str, str], namespace: str, labels: str, token: str) -> Json:
        return await self._send(
            lambda: self._dynamic.get(
                self._resources[kind],
                namespace=namespace or None,
                label_selector=labels or None,
                limit=_PAGE,
                _continue=token or None,
                **self._common(),
            )
        )

    async def create(self, obj: Json) -> Json:
        """Create an object. Raises KubeConflictError when it exists."""
        ref = Ref.of(obj)
        return await self._send(
            lambda: self._dynamic.create(
                self._of(ref),
                body=obj,
                namespace=ref.namespace or None,
                field_manager=FIELD_MANAGER,
                **self._common(),
            )
        )

    async def apply(self, obj: Json) -> Json:
        """Apply an object server-side as our field manager, taking our fields back from whoever has them."""
        ref = Ref.of(obj)
        return await self._send(
            lambda: self._dynamic.server_side_apply(
                self._of(ref), body=obj, field_manager=FIELD_MANAGER, force_conflicts=True, **self._at(ref)
            )
        )

    async def patch(self, ref: Ref, body: Json, subresource: str = "") -> Json:
        """Merge-patch an object or its subresource. Raises KubeConflictError on a stale resourceVersion."""
        path = self._of(ref).path(name=ref.name, namespace=ref.namespace or None)
        path += f"/{subresource}" if subresource else ""
        return await self._send(
            lambda: self._dynamic.request(
                "patch",
                path,
                body=body,
                content_type=_MERGE_PATCH,
                field_manager=FIELD_MANAGER,
                **self._common(),
            )
        )

    async def delete(self, ref: Ref, uid: str = "") -> None:
        """Delete an object, only that incarnation when `uid` is given; gone already is fine."""
        body: Json = {"apiVersion": "v1", "kind": "DeleteOptions"}
        body |= {"preconditions": {"uid": uid}} if uid else {}
        try:
            await self._send(lambda: self._dynamic.delete(self._of(ref), body=body, **self._at(ref)))
        except KubeError as error:
            if error.status != 404:
                raise

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _of(self, ref: Ref) -> Resource:
        return self._resources[ref.api_version, ref.kind]

    def _common(self) -> dict[str, object]:
        return {"serialize": False, "_request_timeout": self._timeout}

    def _at(self, ref: Ref) -> dict[str, object]:
        return {"name": ref.name, "namespace": ref.namespace or None, **self._common()}

    async def _send(self, call: Callable[[], Awaitable[object]]) -> Json:
        try:
            response = cast("_Response", await call())
            found = json.loads(await response.read())
        except DynamicApiError as error:
            raise _translated(error) from error
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise KubeError(f"the API server did not answer: {error}") from error
        return found if isinstance(found, dict) else {}


def _translated(error: DynamicApiError) -> KubeError:
    body = _body(error.body)
    message = text(body, "message") or str(error.reason or "")
    stated = (error.headers or {}).get("Retry-After", "")
    seconds = (
        float(stated) if str(stated).isdecimal() else float(number(body, "details", "retryAfterSeconds"))
    )
    kind = KubeConflictError if error.status == 409 else KubeError
    return kind(message, int(error.status), seconds)


def _body(body: object) -> Mapping[str, object]:
    try:
        found = json.loads(body) if isinstance(body, str | bytes) else None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
