"""The port's real side: plain HTTP with the operator's own connection.

An agent costs seven writes, and a client of models and discovery spends more on each than the request itself.
"""

import json
from collections.abc import Mapping
from urllib.parse import quote

import aiohttp
from yarl import URL

from cadre_operator.kube.connection import METADATA, METADATA_ONLY, Connection
from cadre_operator.kube.fields import Json, number, text
from cadre_operator.kube.kinds import PLURALS
from cadre_operator.kube.port import FIELD_MANAGER, KubeConflictError, KubeError, Ref

_JSON = "application/json"
_APPLY_PATCH = "application/apply-patch+yaml"
_MERGE_PATCH = "application/merge-patch+json"
_MANAGER = f"fieldManager={FIELD_MANAGER}"
_BASES = {
    (api, kind): (f"/apis/{api}" if "/" in api else f"/api/{api}", plural)
    for (api, kind), (plural, _) in PLURALS.items()
}
_WRITE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_CONFLICT = 409
_REFUSED = 400


class RestKube:
    """A cluster over HTTP; safe for many requests at once."""

    def __init__(self, connection: Connection, request_timeout: float = 30.0) -> None:
        self._server = connection.server.rstrip("/")
        self._session = connection.requests(request_timeout)

    async def get(self, ref: Ref) -> Json | None:
        """Read an object; None when there is none."""
        try:
            return await self._send("GET", _path(ref))
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, obj: Json) -> Json:
        """Create an object. Raises KubeConflictError when it exists."""
        ref = Ref.of(obj)
        path = _path(Ref(ref.api_version, ref.kind, ref.namespace, ""))
        return await self._send("POST", f"{path}?{_MANAGER}", obj)

    async def apply(self, obj: Json) -> Json:
        """Apply an object server-side as our field manager, taking our fields back from whoever has them.

        Of kinds whose content nobody reads back the answer is the metadata alone.
        """
        ref = Ref.of(obj)
        brief = METADATA if _BASES[ref.api_version, ref.kind][1] in METADATA_ONLY else _JSON
        path = f"{_path(ref)}?{_MANAGER}&force=true"
        answer = await self._send("PATCH", path, obj, _APPLY_PATCH, brief)
        return {**answer, "apiVersion": ref.api_version, "kind": ref.kind}

    async def patch(self, ref: Ref, body: Json, subresource: str = "") -> Json:
        """Merge-patch an object or its subresource. Raises KubeConflictError on a stale resourceVersion."""
        path = _path(ref) + (f"/{subresource}" if subresource else "")
        return await self._send("PATCH", f"{path}?{_MANAGER}", body, _MERGE_PATCH)

    async def delete(self, ref: Ref, uid: str = "") -> None:
        """Delete an object, only that incarnation when `uid` is given; gone already is fine."""
        body: Json = {"apiVersion": "v1", "kind": "DeleteOptions"}
        body |= {"preconditions": {"uid": uid}} if uid else {}
        try:
            await self._send("DELETE", _path(ref), body)
        except KubeError as error:
            if error.status != 404:
                raise

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _send(
        self, method: str, path: str, body: Json | None = None, content: str = _JSON, accept: str = _JSON
    ) -> Json:
        headers = {"Accept": accept} | ({"Content-Type": content} if body is not None else {})
        data = _WRITE(body).encode() if body is not None else None
        url = URL(self._server + path, encoded=True)
        try:
            async with self._session.request(method, url, data=data, headers=headers) as reply:
                answer = _read(await reply.read())
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise KubeError(f"the API server did not answer: {type(error).__name__} {error}") from error
        if reply.status >= _REFUSED:
            raise _refusal(reply.status, reply.reason or "", reply.headers.get("Retry-After", ""), answer)
        if answer is None:
            raise KubeError("the API server did not answer in JSON")
        return answer


def _path(ref: Ref) -> str:
    base, plural = _BASES[ref.api_version, ref.kind]
    place = f"/namespaces/{quote(ref.namespace)}" if ref.namespace else ""
    return f"{base}{place}/{plural}" + (f"/{quote(ref.name)}" if ref.name else "")


def _read(content: bytes) -> Json | None:
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else {}


def _refusal(status: int, reason: str, stated: str, body: Mapping[str, object] | None) -> KubeError:
    message = text(body, "message") or reason
    wait = float(stated) if stated.isdecimal() else float(number(body, "details", "retryAfterSeconds"))
    return (KubeConflictError if status == _CONFLICT else KubeError)(message, status, wait)
