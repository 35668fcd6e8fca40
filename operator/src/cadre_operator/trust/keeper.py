"""Keeps authority, server certificates and login keys; brings the authority to all namespaces of agents."""

import asyncio
import logging
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from cadre_operator.kube.fields import Json, texts
from cadre_operator.kube.port import Kube, KubeError, Ref
from cadre_operator.settings import TrustSettings
from cadre_operator.trust.issuing import LOGIN_KEY, authority, login_keys, serving
from cadre_operator.trust.secret import decoded, ensure_secret

_LOG = logging.getLogger(__name__)
_CHECK_SECONDS = 60.0
_AUTHORITY = "cadre-ca"
_LOGIN = "cadre-login-key"
_CONTROLLER = "cadre-controller-tls"
_POSTGRES = "cadre-postgres-tls"
_ANALYZER = "cadre-analyzer-tls"


@dataclass(slots=True)
class Trust:
    """What the parts of one installation believe."""

    kube: Kube
    settings: TrustSettings
    namespace: str
    config_map: str
    contexts: tuple[ssl.SSLContext, ...] = ()
    """Clients of ours that are to believe the authority."""
    bundle: bytes = b""
    login_keys: bytes = b""
    _provided: dict[str, bytes] = field(default_factory=dict)

    async def ensure(self, now: datetime) -> None:
        """Have everything there and valid. Raises KubeError."""
        held = await ensure_secret(self.kube, self._ref(_LOGIN), lambda data: login_keys(data, now))
        self.login_keys = held[LOGIN_KEY]
        bundle = await self._self_managed(now) if self.settings.self_managed else await self._theirs()
        if bundle and bundle != self.bundle:
            for context in self.contexts:
                context.load_verify_locations(cadata=bundle.decode())
            self.bundle = bundle
        await self.provide(self.namespace)  # for people's programs, which verify the controller by it

    async def run(self) -> None:
        """Check now and then, until cancelled."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            try:
                await self.ensure(datetime.now(UTC))
                for namespace in tuple(self._provided):
                    await self._give(namespace)
            except KubeError as error:
                _LOG.warning("trust not checked", extra={"reason": str(error)})

    async def provide(self, namespace: str) -> None:
        """Have the authority's certificate in a namespace of agents. Raises KubeError."""
        if self.bundle and self._provided.get(namespace) != self.bundle:
            await self._give(namespace)

    async def _give(self, namespace: str) -> None:
        ref = Ref("v1", "ConfigMap", namespace, self.config_map)
        found = await self.kube.get(ref)
        if found is None or texts(found, "data").get("ca.crt") != self.bundle.decode():
            metadata: Json = {"name": ref.name, "namespace": namespace}
            metadata["labels"] = {"app.kubernetes.io/part-of": "cadre"}
            data = {"ca.crt": self.bundle.decode()}
            await self.kube.apply(
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
            )
        self._provided[namespace] = self.bundle

    async def _self_managed(self, now: datetime) -> bytes:
        root = await ensure_secret(self.kube, self._ref(_AUTHORITY), lambda data: authority(data, now))
        for name, hosts in self._servers().items():
            await ensure_secret(self.kube, self._ref(name), partial(serving, hosts=hosts, root=root, now=now))
        return root["ca.crt"]

    async def _theirs(self) -> bytes:
        """Return the authority that somebody else keeps; empty while it is not there."""
        found = await self.kube.get(self._ref(_CONTROLLER))
        return decoded(found).get("ca.crt", b"") if found is not None else b""

    def _servers(self) -> dict[str, tuple[str, ...]]:
        services = (self.settings.public_service, self.settings.guard_service)
        hosts = [name for service in services for name in self._names(service)]
        own = self.settings.guard_host
        servers = {
            _CONTROLLER: tuple(dict.fromkeys([*hosts, *([own] if own else [])])),
            _POSTGRES: self._names("cadre-postgres"),
        }
        if self.settings.analyzer_service:
            servers[_ANALYZER] = self._names(self.settings.analyzer_service)
        return servers

    def _names(self, service: str) -> tuple[str, ...]:
        inside = f"{service}.{self.namespace}"
        return (service, inside, f"{inside}.svc", f"{inside}.svc.cluster.local")

    def _ref(self, name: str) -> Ref:
        return Ref("v1", "Secret", self.namespace, name)
