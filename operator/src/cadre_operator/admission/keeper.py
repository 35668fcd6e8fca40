"""Keeps certificates and seal key in a Secret that all replicas share, and renews them without a restart.

New handshakes use a renewed certificate at once, as it is loaded into the listening context itself.
"""

import asyncio
import base64
import logging
import secrets
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cadre_operator.admission.certificates import Certificates, due, issue
from cadre_operator.admission.configuration import configurations, hosts
from cadre_operator.kube.fields import Json, at, items, mapping, text, texts
from cadre_operator.kube.port import Kube, KubeConflictError, KubeError, Ref
from cadre_operator.settings import WebhookSettings

_LOG = logging.getLogger(__name__)
CHECK_SECONDS = 60.0
_SEAL = "seal.key"
_RETRIES = 10


def _listening() -> ssl.SSLContext:
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)


@dataclass(slots=True)
class Keeper:
    """Certificates of one operator."""

    kube: Kube
    settings: WebhookSettings
    namespace: str
    context: ssl.SSLContext = field(
        default_factory=lambda: ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    )
    seal_key: bytes = b""
    _loaded: bytes = b""

    @property
    def _ref(self) -> Ref:
        return Ref("v1", "Secret", self.namespace, self.settings.secret)

    async def ensure(self, now: datetime) -> None:
        """Have valid certificates loaded and registered. Raises KubeError."""
        for attempt in range(_RETRIES):
            try:
                held = await self._secret(now)
                break
            except KubeConflictError:
                # another replica wrote first: what it wrote will do for us too
                if attempt == _RETRIES - 1:
                    raise
                await asyncio.sleep(0.1)
        self._load(self._given() or held)
        if self.settings.manage:
            await self._register(held.bundle)

    async def run(self) -> None:
        """Check now and then, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self.ensure(datetime.now(UTC))
            except KubeError as error:
                _LOG.warning("certificates not checked", extra={"reason": str(error)})

    def _given(self) -> Certificates | None:
        """Read the certificate that somebody else keeps for us."""
        files = (self.settings.certificate, self.settings.key)
        if files[0] is None or files[1] is None:
            return None
        return Certificates(b"", b"", files[0].read_bytes(), files[1].read_bytes())

    async def _secret(self, now: datetime) -> Certificates:
        secret = await self.kube.get(self._ref)
        held = _certificates(secret) if secret is not None else None
        names = hosts(self.settings, self.namespace)
        seal = _decoded(secret, _SEAL) if secret is not None else b""
        if held is not None and seal and not due(held, names, now):
            self.seal_key = seal
            return held
        fresh = issue(names, now, held)
        await self._store(secret, fresh, seal or secrets.token_bytes(32))
        _LOG.info("certificates issued", extra={"hosts": ", ".join(names)})
        return fresh

    async def _store(self, secret: Json | None, fresh: Certificates, seal: bytes) -> None:
        data = {
            "ca.crt": fresh.bundle,
            "ca.key": fresh.authority_key,
            "tls.crt": fresh.serving,
            "tls.key": fresh.serving_key,
            _SEAL: seal,
        }
        encoded = {name: base64.b64encode(value).decode() for name, value in data.items()}
        if secret is None:
            metadata = {"name": self._ref.name, "namespace": self._ref.namespace}
            await self.kube.create(
                {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}
            )
        else:
            version = text(secret, "metadata", "resourceVersion")
            body: Json = {"metadata": {"resourceVersion": version}, "data": encoded}
            await self.kube.patch(self._ref, body)
        self.seal_key = seal

    def _load(self, held: Certificates) -> None:
        if held.serving == self._loaded:
            return
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = Path(folder) / "tls.crt", Path(folder) / "tls.key"
            key.touch(0o600)
            certificate.write_bytes(held.serving)
            key.write_bytes(held.serving_key)
            self.context.load_cert_chain(certificate, key)
        self._loaded = held.serving

    async def _register(self, bundle: bytes) -> None:
        for wanted in configurations(self.settings, self.namespace, bundle):
            found = await self.kube.get(Ref.of(wanted))
            if found is None or not _same(wanted, found):
                await self.kube.apply(wanted)


def _certificates(secret: Mapping[str, object]) -> Certificates | None:
    names = ("ca.crt", "ca.key", "tls.crt", "tls.key")
    parts = [_decoded(secret, name) for name in names]
    return Certificates(*parts) if all(parts) else None


def _decoded(secret: Mapping[str, object], name: str) -> bytes:
    try:
        return base64.b64decode(texts(secret, "data").get(name, ""), validate=True)
    except ValueError:
        return b""


def _same(wanted: Mapping[str, object], found: Mapping[str, object]) -> bool:
    """Whether what is registered says everything we want; the API server adds defaults."""
    mine, theirs = items(wanted, "webhooks"), items(found, "webhooks")
    return len(mine) == len(theirs) and all(_within(w, f) for w, f in zip(mine, theirs, strict=True))


def _within(wanted: object, found: object) -> bool:
    if isinstance(wanted, Mapping):
        return all(_within(value, at(found, name)) for name, value in mapping(wanted).items())
    if isinstance(wanted, list):
        found = [] if found is None else found  # the API server leaves out what is empty
        if not isinstance(found, list) or len(found) != len(wanted):
            return False
        return all(_within(w, f) for w, f in zip(wanted, found, strict=True))
    return wanted == found
