"""The API server, request by request: plain mappings in and out, refusals in its own words, warnings kept."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import urllib3
from kubernetes.client.rest import RESTClientObject

from cadre_api.protocol.base import type_json
from cadre_local.errors import CadreError, Exit
from cadre_local.kube.connection import Connection
from cadre_local.objects import API_VERSION, KINDS

FIELD_MANAGER = "cadre-cli"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
TIMEOUT = 30.0
"""Seconds for one request; streams have none."""
PAGE = 500
PLURALS = {kind: plural for plural, kind in KINDS.items()}
_EXITS = {404: Exit.REFUSED, 409: Exit.CONFLICT, 503: Exit.UNREACHABLE, 504: Exit.UNREACHABLE}


class KubeRefusedError(CadreError):
    """The API server said no; `status` is HTTP's."""

    def __init__(self, status: int, reason: str, message: str, fix: str) -> None:
        super().__init__(reason, message, fix, _EXITS.get(status, Exit.REFUSED))
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server answered, and what it warned of."""

    body: type_json
    warnings: tuple[str, ...] = ()


class KubeClient:
    """One person's view of a cluster."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._pool = RESTClientObject(connection.configuration).pool_manager

    def send(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> Answer:
        """One request; raises KubeRefusedError, or Unreachable when nobody answers."""
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers() | ({"Content-Type": content_type} if data is not None else {})
        response = self._request(method, path, data, headers, stream=False)
        if response.status >= 400:
            raise _refusal(response.status, response.data)
        return Answer(_object(response.data), _warnings(response.headers))

    def get(self, path: str) -> type_json:
        """Read an object."""
        return self.send("GET", path).body

    def find(self, path: str) -> type_json | None:
        """Read an object; None when there is none."""
        try:
            return self.get(path)
        except KubeRefusedError as error:
            if error.status == 404:
                return None
            raise

    def collect(self, path: str, labels: str = "") -> list[type_json]:
        """Read all objects of a collection, page by page."""
        found: list[type_json] = []
        token = ""
        while True:
            query = {"limit": str(PAGE), "labelSelector": labels, "continue": token}
            page = self.get(f"{path}?{urlencode({key: value for key, value in query.items() if value})}")
            items, metadata = page.get("items"), page.get("metadata")
            found += [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
            token = str(metadata.get("continue") or "") if isinstance(metadata, dict) else ""
            if not token:
                return found

    def resources(self, kind: str, namespace: str = "") -> list[type_json]:
        """Objects of a kind of Cadre, in one namespace or in all."""
        return [
            {"apiVersion": API_VERSION, "kind": kind, **item}
            for item in self.collect(collection(kind, namespace))
        ]

    def apply(self, document: type_json, *, dry_run: bool = False, force: bool = False) -> Answer:
        """Apply an object server-side under our name."""
        query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        query |= {"force": "true"} if force else {}
        return self.send("PATCH", f"{path_of(document)}?{urlencode(query)}", document, APPLY_PATCH)

    def patch(self, path: str, body: type_json) -> Answer:
        """Merge-patch an object."""
        return self.send("PATCH", f"{path}?fieldManager={FIELD_MANAGER}", body, MERGE_PATCH)

    def stream(self, path: str) -> Iterator[bytes]:
        """A long answer in pieces, as they come."""
        response = self._request("GET", path, None, self._headers() | {"Accept": "*/*"}, stream=True)
        try:
            if response.status >= 400:
                raise _refusal(response.status, response.read())
            while piece := response.read1(65536):
                yield piece
        finally:
            response.release_conn()

    def _headers(self) -> dict[str, str]:
        found = self.connection.authorization
        return {"Accept": "application/json", "User-Agent": FIELD_MANAGER} | (
            {"Authorization": found} if found else {}
        )

    def _request(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str], *, stream: bool
    ) -> urllib3.BaseHTTPResponse:
        timeout = urllib3.Timeout(connect=TIMEOUT, read=None if stream else TIMEOUT)
        try:
            return self._pool.request(
                method,
                self.connection.server + path,
                body=data,
                headers=dict(headers),
                preload_content=not stream,
                retries=False,
                timeout=timeout,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise CadreError(
                "Unreachable",
                f"the API server {self.connection.server} does not answer ({_cause(error)})",
                "check the cluster with kubectl cluster-info, or choose another --context",
                Exit.UNREACHABLE,
            ) from error


def collection(kind: str, namespace: str = "") -> str:
    """Path of all objects of a kind of Cadre."""
    place = f"/namespaces/{quote(namespace)}" if namespace else ""
    return f"/apis/{API_VERSION}{place}/{PLURALS[kind]}"


def path_of(document: type_json) -> str:
    """Path of an object of ours."""
    metadata = document.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    place = collection(str(document.get("kind")), str(named.get("namespace") or "default"))
    return f"{place}/{quote(str(named.get('name')))}"


def _warnings(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Texts of `Warning: 299 - "text"` (RFC 7234 §5.5); admission speaks to people through them."""
    lines = headers.getlist("Warning") if isinstance(headers, urllib3.HTTPHeaderDict) else []
    return tuple(_unquoted(line) for line in lines)


def _unquoted(line: str) -> str:
    _, quote_mark, text = line.partition('"')
    text = text.rpartition('"')[0]
    return text.replace('\\"', '"').replace("\\\\", "\\") if quote_mark else line


def _refusal(status: int, content: bytes) -> KubeRefusedError:
    body = _object(content)
    message = str(body.get("message") or content.decode(errors="replace")[:500] or f"HTTP {status}")
    reason = str(body.get("reason") or f"Http{status}")
    _, webhook, told = message.partition("denied the request: ")
    if webhook:
        reason, _, message = told.partition(": ") if _is_reason(told) else (reason, "", told)
    return KubeRefusedError(status, reason, message, _fix(status, bool(webhook)))


def _is_reason(text: str) -> bool:
    word, colon, _ = text.partition(": ")
    return bool(colon) and word.isalnum() and word[:1].isupper()


def _fix(status: int, admission: bool) -> str:
    if admission:
        return ""
    return {
        401: "the cluster does not know these credentials: log in to it again",
        403: "ask the cluster's administrator for a role of the chart, such as cadre-view or cadre-lead",
        404: "cadre get lists what there is",
    }.get(status, "")


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    text = str(reason).rpartition(": ")[2] or type(error).__name__
    return text[:200]


def _object(content: bytes) -> type_json:
    try:
        value = json.loads(content or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
