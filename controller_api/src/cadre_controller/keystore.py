"""Every key of the controller in one sealed file: a stolen disk without the key file or passphrase tells
nothing.

In a cluster, where replicas share no file they may write, the keystore is a root key instead, from which they
all derive the same.
"""

import base64
import hashlib
import hmac
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cadre_controller.errors import KeystoreError
from cadre_controller.root_key import RootKey, read_root_key
from cadre_controller.sealed_file import KEY_BYTES, NONCE_BYTES, Content, SealedFile

_SIGNERS = ("jwt", "bundle", "audit")
_TENANT_KEYS = ("token", "map", "person")


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """A tenant's own keys: tokens, token maps and person ids of two tenants cannot be linked."""

    token_key: bytes = field(repr=False)
    token_version: str
    map_key: bytes = field(repr=False)
    person_key: bytes = field(repr=False)

    def person_id(self, issuer: str, subject: str) -> str:
        """Opaque id of a person: HMAC-SHA256 over length-prefixed issuer and subject."""
        message = b"".join(len(p).to_bytes(4, "big") + p for p in (issuer.encode(), subject.encode()))
        return "person:" + hmac.new(self.person_key, message, hashlib.sha256).hexdigest()[:32]

    def seal(self, plain: bytes, context: str) -> bytes:
        """Nonce and ciphertext under the map key, bound to its context (associated data)."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self.map_key).encrypt(nonce, plain, context.encode())

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """Raises KeystoreError when the key or the context is another."""
        try:
            return AESGCM(self.map_key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except InvalidTag:
            raise KeystoreError(
                "SealBroken",
                "a sealed value does not open with this keystore",
                "restore the keystore of this database",
            ) from None


class KeyStore:
    """The open keystore: over a sealed file, or over a root key, from which everything is derived."""

    def __init__(self, content: Content, file: SealedFile | None, root: RootKey | None) -> None:
        self._content = content
        self._file = file
        self._root = root
        self._tenants: dict[str, TenantKeys] = {}

    @classmethod
    def open(cls, path: Path, *, key_file: Path | None = None, passphrase: str = "") -> "KeyStore":
        """Open the keystore, or create it on first start. Raises KeystoreError."""
        root = read_root_key(path)
        if root is not None:
            signers = {name: _text(root.derive("signer", name)) for name in _SIGNERS}
            return cls(_content(signers), None, root)
        file = SealedFile.open(path, key_file, passphrase, lambda: _content(_fresh_signers()))
        return cls(file.load(), file, None)

    def jwt_key(self) -> Ed25519PrivateKey:
        """Signs access tokens of persons and guards."""
        return self._signer("jwt")

    def bundle_key(self) -> Ed25519PrivateKey:
        """Signs agent bundles."""
        return self._signer("bundle")

    def audit_key(self) -> Ed25519PrivateKey:
        """Signs audit checkpoints."""
        return self._signer("audit")

    def tenant(self, tenant: str) -> TenantKeys:
        """The tenant's keys, made on first use."""
        if tenant not in self._tenants:
            keys = self._stored(tenant)
            token, map_key, person = (_bytes(keys[name]) for name in _TENANT_KEYS)
            self._tenants[tenant] = TenantKeys(token, keys["version"], map_key, person)
        return self._tenants[tenant]

    def _stored(self, tenant: str) -> dict[str, str]:
        if self._root is not None:
            derived = {name: _text(self._root.derive("tenant", tenant, name)) for name in _TENANT_KEYS}
            return derived | {"version": "1"}
        if tenant not in self._content["tenants"]:
            fresh = {name: _text(os.urandom(KEY_BYTES)) for name in _TENANT_KEYS} | {"version": "1"}
            self._put("tenants", tenant, json.dumps(fresh), replace=False)
        return cast("dict[str, str]", json.loads(self._content["tenants"][tenant]))

    def get_secret(self, name: str) -> str | None:
        """A provider credential, e.g. `secret/<name>/<key>`, or None."""
        if self._file is not None and self._file.is_news():
            self._content = self._file.load()
        return self._content["secrets"].get(name)

    def put_secret(self, name: str, value: str) -> None:
        """Store a credential; the file is replaced before this returns. Raises KeystoreError."""
        self._put("secrets", name, value, replace=True)

    def _put(self, kind: str, name: str, value: str, *, replace: bool) -> None:
        if self._file is None:
            raise KeystoreError(
                "KeystoreReadOnly",
                "a root key holds no credentials",
                "give them by the environment: CADRE_SECRET_<NAME>_<KEY>",
            )
        self._content = self._file.change(kind, name, value, replace=replace)

    def secret_names(self) -> tuple[str, ...]:
        """What is stored, never the values."""
        return tuple(sorted(self._content["secrets"]))

    def _signer(self, name: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(_bytes(self._content["signers"][name]))


def _content(signers: dict[str, str]) -> Content:
    return {"signers": signers, "tenants": {}, "secrets": {}}


def _fresh_signers() -> dict[str, str]:
    return {name: _text(Ed25519PrivateKey.generate().private_bytes_raw()) for name in _SIGNERS}


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
