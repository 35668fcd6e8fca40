"""Every key of the controller in one sealed file: a stolen disk without the key file or passphrase tells
nothing.

AES-256-GCM (NIST SP 800-38D). The sealing key is a 32-byte file of mode 0600, or scrypt (RFC 7914) over a
passphrase. In a cluster, where replicas share no file they may write, the keystore is a root key instead,
from which they all derive the same.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from cadre_controller.errors import KeystoreError
from cadre_controller.root_key import RootKey, read_root_key

FORMAT = "cadre-keystore/1"
KEY_BYTES = 32
NONCE_BYTES = 12
_SCRYPT = {"n": 2**15, "r": 8, "p": 1}
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
    """The open keystore. Writes are atomic: a crash leaves the old file or the new one."""

    def __init__(
        self,
        path: Path,
        wrap: bytes,
        salt: bytes,
        content: dict[str, dict[str, str]],
        root: RootKey | None = None,
    ) -> None:
        self._path = path
        self._root = root
        self._wrap = wrap
        self._salt = salt
        self._content = content
        self._tenants: dict[str, TenantKeys] = {}

    @classmethod
    def open(cls, path: Path, *, key_file: Path | None = None, passphrase: str = "") -> "KeyStore":
        """Open the keystore, or create it on first start. Raises KeystoreError."""
        root = read_root_key(path)
        if root is not None:
            signers = {name: _text(root.derive("signer", name)) for name in _SIGNERS}
            return cls(path, b"", b"", {"signers": signers, "tenants": {}, "secrets": {}}, root)
        if path.exists():
            return cls._read(path, key_file, passphrase)
        salt = os.urandom(16)
        store = cls(path, _wrapping_key(key_file, passphrase, salt, create=True), salt, {})
        store._content = {"signers": {}, "tenants": {}, "secrets": {}}
        for name in _SIGNERS:
            store._content["signers"][name] = _text(Ed25519PrivateKey.generate().private_bytes_raw())
        store._write()
        return store

    @classmethod
    def _read(cls, path: Path, key_file: Path | None, passphrase: str) -> "KeyStore":
        try:
            envelope = json.loads(path.read_text(encoding="utf-8"))
            salt, sealed = _bytes(envelope["salt"]), _bytes(envelope["sealed"])
            known = envelope["format"] == FORMAT
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise KeystoreError(
                "KeystoreUnreadable",
                f"the keystore file cannot be read ({type(error).__name__})",
                "restore it",
            ) from error
        if not known:
            raise KeystoreError(
                "KeystoreFormat", "the keystore has a format this program does not know", "upgrade"
            )
        wrap = _wrapping_key(key_file, passphrase, salt, create=False)
        try:
            plain = AESGCM(wrap).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], FORMAT.encode())
        except InvalidTag:
            raise KeystoreError(
                "KeystoreWrongKey",
                "the keystore does not open with this key",
                "give the key file or CADRE_KEYSTORE_PASSPHRASE it was made with",
            ) from None
        return cls(path, wrap, salt, cast("dict[str, dict[str, str]]", json.loads(plain)))

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
            found = self._content["tenants"].get(tenant)
            keys = self._fresh(tenant) if found is None else json.loads(found)
            token, map_key, person = (_bytes(keys[name]) for name in _TENANT_KEYS)
            self._tenants[tenant] = TenantKeys(token, keys["version"], map_key, person)
        return self._tenants[tenant]

    def _fresh(self, tenant: str) -> dict[str, str]:
        if self._root is not None:
            derived = {name: _text(self._root.derive("tenant", tenant, name)) for name in _TENANT_KEYS}
            return derived | {"version": "1"}
        fresh = {name: _text(os.urandom(KEY_BYTES)) for name in _TENANT_KEYS} | {"version": "1"}
        self._content["tenants"][tenant] = json.dumps(fresh)
        self._write()
        return fresh

    def get_secret(self, name: str) -> str | None:
        """A provider credential, e.g. `secret/<name>/<key>`, or None."""
        return self._content["secrets"].get(name)

    def put_secret(self, name: str, value: str) -> None:
        """Store a credential; the file is replaced before this returns. Raises KeystoreError."""
        self._content["secrets"][name] = value
        self._write()

    def secret_names(self) -> tuple[str, ...]:
        """What is stored, never the values."""
        return tuple(sorted(self._content["secrets"]))

    def _signer(self, name: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(_bytes(self._content["signers"][name]))

    def _write(self) -> None:
        if self._root is not None:
            raise KeystoreError(
                "KeystoreReadOnly",
                "a root key holds no credentials",
                "give them by the environment: CADRE_SECRET_<NAME>_<KEY>",
            )
        nonce = os.urandom(NONCE_BYTES)
        plain = json.dumps(self._content).encode()
        sealed = nonce + AESGCM(self._wrap).encrypt(nonce, plain, FORMAT.encode())
        envelope = {"format": FORMAT, "salt": _text(self._salt), "sealed": _text(sealed)}
        try:
            write_private(self._path, json.dumps(envelope).encode())
        except OSError as error:
            raise KeystoreError(
                "KeystoreUnwritable",
                f"the keystore cannot be written ({error.strerror})",
                "check the folder's rights",
            ) from error


def _wrapping_key(key_file: Path | None, passphrase: str, salt: bytes, *, create: bool) -> bytes:
    if passphrase:
        return Scrypt(salt=salt, length=KEY_BYTES, **_SCRYPT).derive(passphrase.encode())
    if key_file is None:
        raise KeystoreError(
            "KeystoreNoKey",
            "no key for the keystore",
            "set CADRE_KEYSTORE_KEY_FILE or CADRE_KEYSTORE_PASSPHRASE",
        )
    if create and not key_file.exists():
        write_private(key_file, secrets.token_bytes(KEY_BYTES))
    return _read_key_file(key_file)


def _read_key_file(key_file: Path) -> bytes:
    try:
        mode, key = key_file.stat().st_mode, key_file.read_bytes()
    except OSError as error:
        raise KeystoreError(
            "KeystoreNoKey",
            f"the keystore's key file cannot be read ({error.strerror})",
            "restore the key file",
        ) from error
    if mode & 0o077:
        raise KeystoreError(
            "KeystoreKeyExposed", "the key file is readable by others", f"chmod 600 {key_file.name}"
        )
    if len(key) != KEY_BYTES:
        raise KeystoreError("KeystoreWrongKey", "the key file does not hold 32 bytes", "restore the key file")
    return key


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 atomically and durably."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
