"""The API server, asked who holds a token and what belongs to whom. An answer that does not come is no yes.

Plain HTTP with the pod's own account, because four calls need no client library and every failure must be
ours to name.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from cadre_controller.errors import CadreError

ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LIMIT = aiohttp.ClientTimeout(total=10, sock_connect=3)
_MAX_TOKEN_CHARS = 8192
Json = Mapping[str, object]


class ClusterUnavailable(CadreError):  # noqa: N818
    """The API server did not answer, or not this account: nobody is let in meanwhile."""

    status = 503
    title = "Cluster not available"
    retry_after = 2.0

    def __init__(self, message: str) -> None:
        super().__init__("KubernetesUnavailable", message, "retry; if it stays, see the controller's RBAC")


@dataclass(frozen=True, slots=True)
class ReviewedToken:
    """Who the API server says holds a token."""

    username: str
    groups: tuple[str, ...]
    extra: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ClusterAccount:
    """Where the API server is and what we are to it."""

    url: str
    folder: Path = ACCOUNT_DIR
    """Holds `token` and `ca.crt`, both replaced while we run."""


class ClusterApi:
    """The few calls a controller makes; needs `create tokenreviews` and `get` of what it names."""

    def __init__(self, account: ClusterAccount, http: aiohttp.ClientSession) -> None:
        self._account = account
        self._http = http
        self._trust: tuple[int, ssl.SSLContext] | None = None

    async def review(self, token: str, audiences: Sequence[str] = ()) -> ReviewedToken | None:
        """Who holds the token; None when it is not valid for one of `audiences` (none given = the API
        server's own). Raises ClusterUnavailable.
        """
        if not token or len(token) > _MAX_TOKEN_CHARS or not token.isascii() or not token.isprintable():
            return None
        spec = {"token": token, **({"audiences": list(audiences)} if audiences else {})}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        answer = await self._send("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)
        status = fields(answer, "status")
        if status.get("authenticated") is not True or status.get("error"):
            return None
        # an authenticator that knows no audiences vouches for none: without ours in the answer it is no yes
        if audiences and not set(_texts(status.get("audiences"))) & set(audiences):
            return None
        user = fields(status, "user")
        extra = {name: _texts(values) for name, values in fields(user, "extra").items()}
        name = user.get("username")
        return ReviewedToken(name, _texts(user.get("groups")), extra) if isinstance(name, str) else None

    async def user(self, token: str) -> tuple[str, tuple[str, ...]] | None:
        """(name, groups) of the user behind a token made for the API server. Raises ClusterUnavailable."""
        found = await self.review(token)
        return (found.username, found.groups) if found is not None else None

    async def get(self, path: str) -> Json | None:
        """An object, None when it is not there. Raises ClusterUnavailable."""
        return await self._send("GET", path, None)

    async def _send(self, method: str, path: str, body: object) -> Json | None:
        try:
            token, trust = await asyncio.to_thread(self._credentials)
            headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
            url = self._account.url + path
            async with self._http.request(
                method, url, json=body, headers=headers, ssl=trust, timeout=_LIMIT, allow_redirects=False
            ) as reply:
                content = await reply.read()
                if reply.status == 404 and method == "GET":
                    return None
                if reply.status not in (200, 201):
                    raise ClusterUnavailable(f"the API server answered {method} {path} with {reply.status}")
            found = json.loads(content)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ClusterUnavailable(f"the API server cannot be asked: {type(error).__name__}") from error
        if not isinstance(found, dict):
            raise ClusterUnavailable("the API server's answer is no object")
        return found

    def _credentials(self) -> tuple[str, ssl.SSLContext]:
        """Both from their files at every call: the kubelet replaces them."""
        token = (self._account.folder / "token").read_text(encoding="ascii").strip()
        file = self._account.folder / "ca.crt"
        stamp = file.stat().st_mtime_ns
        if self._trust is None or self._trust[0] != stamp:
            self._trust = (stamp, ssl.create_default_context(cafile=str(file)))
        return token, self._trust[1]


def fields(value: Json | None, *path: str) -> Json:
    """The object at a path, empty when there is none."""
    found: object = value
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()
