"""The keystore's file: sealed, replaced whole, and changed by one program at a time.

AES-256-GCM (NIST SP 800-38D). The sealing key is a 32-byte file of mode 0600, or scrypt (RFC 7914) over a
passphrase. Programs that share the file take turns: each change starts from what the others wrote last.
"""

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from cadre_controller.errors import KeystoreError

FORMAT = "cadre-keystore/1"
KEY_BYTES = 32
NONCE_BYTES = 12
_SCRYPT = {"n": 2**15, "r": 8, "p": 1}

Content = dict[str, dict[str, str]]
"""Kind of key to name to text."""


class SealedFile:
    """The open file. A crash leaves the old content or the new one."""

    def __init__(self, path: Path, wrap: bytes, salt: bytes) -> None:
        self._path = path
        self._wrap = wrap
        self._salt = salt
        self._seen: tuple[int, int] = (0, 0)

    @classmethod
    def open(
        cls, path: Path, key_file: Path | None, passphrase: str, first: Callable[[], Content]
    ) -> "SealedFile":
        """Open the file, or create it with its first content. Raises KeystoreError."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(path.parent):
            if path.exists():
                salt, _ = _envelope(path)
                return cls(path, _wrapping_key(key_file, passphrase, salt, create=False), salt)
            salt = os.urandom(16)
            made = cls(path, _wrapping_key(key_file, passphrase, salt, create=True), salt)
            made._write(first())
            return made

    def load(self) -> Content:
        """Return what the file holds now. Raises KeystoreError."""
        self._seen = _stamp(self._path)
        _, sealed = _envelope(self._path)
        try:
            plain = AESGCM(self._wrap).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], FORMAT.encode())
        except InvalidTag:
            raise KeystoreError(
                "KeystoreWrongKey",
                "the keystore does not open with this key",
                "give the key file or CADRE_KEYSTORE_PASSPHRASE it was made with",
            ) from None
        return cast("Content", json.loads(plain))

    def is_news(self) -> bool:
        """Whether another program has replaced the file since it was read."""
        return _stamp(self._path) != self._seen

    def change(self, kind: str, name: str, value: str, *, replace: bool) -> Content:
        """Put one value, if `replace` or there is none, and return the whole. Raises KeystoreError."""
        with _alone(self._path.parent):
            content = self.load()
            if replace or name not in content[kind]:
                content[kind][name] = value
                self._write(content)
                self._seen = _stamp(self._path)
            return content

    def _write(self, content: Content) -> None:
        nonce = os.urandom(NONCE_BYTES)
        plain = json.dumps(content).encode()
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


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:  # reading it says what is wrong
        return (0, 0)
    return (found.st_ino, found.st_mtime_ns)


def _envelope(path: Path) -> tuple[bytes, bytes]:
    try:
        envelope = json.loads(path.read_text(encoding="utf-8"))
        salt, sealed = (base64.b64decode(envelope[name], validate=True) for name in ("salt", "sealed"))
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
    return salt, sealed


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
