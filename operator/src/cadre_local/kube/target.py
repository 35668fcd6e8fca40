"""A Cadre in a cluster: objects by the API server, the running business by the controller."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from cadre_local.client.api import CadreApi
from cadre_local.client.http import Endpoint, HttpClient
from cadre_local.kube.client import KubeClient
from cadre_local.kube.connection import Connection, Selection, connect
from cadre_local.kube.forward import Tunnel, authority, hush_pumps, server_name, trust
from cadre_local.kube.login import SignedIn, TokenCache, sign_in
from cadre_local.paths import cache_path


@dataclass(slots=True)
class ClusterTarget:
    """A cluster, as the kubeconfig's user sees it."""

    kube: KubeClient
    server: str = ""
    """URL of the controller where it is published; empty = through the API server."""
    tenant: str = ""
    cache: TokenCache = field(default_factory=lambda: TokenCache(cache_path() / "login"))

    @classmethod
    def open(cls, selection: Selection, environ: Mapping[str, str], server: str) -> "ClusterTarget":
        """Read the kubeconfig; nothing is asked yet. Raises CadreError."""
        kube = KubeClient(connect(selection, environ))
        return cls(kube, server, environ.get("CADRE_TENANT", ""))

    @property
    def connection(self) -> Connection:
        """Where and as whom."""
        return self.kube.connection

    @property
    def identity(self) -> str:
        """What a remembered sign-in belongs to."""
        c = self.connection
        return "\n".join((c.server, c.context, c.user, c.system_namespace, self.server, self.tenant))

    def api(self) -> CadreApi:
        """Signed in as this user: remembered, or anew."""
        http = self._http()
        found = self.signed_in(http)
        http.token = found.token
        http.renew = lambda: self.sign_in(self._http()).token
        api = CadreApi(http)
        api.person = found.person
        return api

    def signed_in(self, http: HttpClient | None = None) -> SignedIn:
        """As remembered, or anew."""
        return self.cache.load(self.identity) or self.sign_in(http)

    def sign_in(self, http: HttpClient | None = None) -> SignedIn:
        """Sign in anew and remember it."""
        found = sign_in(self.kube, http or self._http(), self.tenant)
        self.cache.save(self.identity, found)
        return found

    def _http(self) -> HttpClient:
        if self.server.startswith("http://"):
            return HttpClient(Endpoint(self.server))
        context = self._trust()
        if self.server:
            return HttpClient(Endpoint(self.server), context=context)
        hush_pumps()
        url = f"https://{server_name(self.connection.system_namespace)}"
        return HttpClient(Endpoint(url), connect=Tunnel(self.kube, context).open)

    def _trust(self) -> ssl.SSLContext:
        """The cluster's own CA; for a published address also those that the system trusts."""
        context = trust(authority(self.kube))
        if self.server:
            context.load_default_certs()
        return context
