"""Signing in at the controller as whoever one is in the cluster, and remembering it until it ends."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cadre_api.protocol.base import type_json
from cadre_core.login import AGENT, NOTE, code_in
from cadre_local.client.http import HttpClient
from cadre_local.errors import CadreError
from cadre_local.kube.client import KubeClient, KubeRefusedError, collection
from cadre_local.objects import API_VERSION
from cadre_local.paths import write_private

MARGIN = timedelta(minutes=2)
"""A token that ends sooner than this is not begun with."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A token for the controller's public port, and whom it stands for."""

    token: str
    expires: str
    """RFC 3339."""
    person: str
    """Person key; empty = tenant administrator."""
    tenant: str

    def valid(self, now: datetime) -> bool:
        """Whether it lasts for a while."""
        return now + MARGIN < datetime.fromisoformat(self.expires)


@dataclass(frozen=True, slots=True)
class TokenCache:
    """One private file per cluster, user and tenant."""

    directory: Path

    def load(self, identity: str) -> SignedIn | None:
        """What is remembered and still valid."""
        try:
            found = SignedIn(**json.loads(self._file(identity).read_bytes()))
            return found if found.valid(datetime.now(UTC)) else None
        except (OSError, ValueError, TypeError):
            return None

    def save(self, identity: str, signed_in: SignedIn) -> None:
        """Remember."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        write_private(self._file(identity), json.dumps(asdict(signed_in)))

    def forget(self, identity: str) -> bool:
        """Forget; says whether there was anything."""
        try:
            self._file(identity).unlink()
        except FileNotFoundError:
            return False
        return True

    def _file(self, identity: str) -> Path:
        return self.directory / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.json"


def sign_in(kube: KubeClient, http: HttpClient, tenant: str) -> SignedIn:
    """Trade what signs one in at the cluster for a token of the controller. Raises CadreError."""
    http.token = ""
    answer = http.json(
        "POST", "/api/v1/auth/token", {**_grant(kube), "grant": "kubernetes", "tenant": tenant}
    )
    return SignedIn(
        token=str(answer["accessToken"]),
        expires=str(answer["expiresAt"]),
        person=str(answer.get("person", "")),
        tenant=str(answer.get("tenant", "")),
    )


def _grant(kube: KubeClient) -> Mapping[str, str]:
    """A code from admission; the cluster's own token where one may not create agents."""
    try:
        return {"code": _code(kube)}
    except KubeRefusedError as error:
        token = kube.connection.bearer
        if error.status == 403 and token:
            return {"token": token}
        raise


def _code(kube: KubeClient) -> str:
    namespace, nonce = kube.connection.namespace, secrets.token_urlsafe(24)
    answer = kube.send("POST", f"{collection('Agent', namespace)}?dryRun=All", _dry_agent(namespace, nonce))
    code = code_in(answer.warnings)
    if not code:
        raise CadreError(
            "LoginUnanswered",
            f"nobody answered the sign-in in namespace {namespace}: is it one that Cadre's operator serves?",
            "pass --namespace with one that has agents; cadre doctor checks the operator",
        )
    return code


def _dry_agent(namespace: str, nonce: str) -> type_json:
    return {
        "apiVersion": API_VERSION,
        "kind": "Agent",
        "metadata": {"name": AGENT, "namespace": namespace, "annotations": {NOTE: nonce}},
        "spec": {"nodeRef": {"name": AGENT}, "purpose": "Signing in; never created."},
    }
