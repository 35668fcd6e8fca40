"""What the tokens of masked files stand for, sealed on this machine so that `cadre guard restore` can undo
them.

AES-256-GCM (NIST SP 800-38D) under a key file of mode 0600 beside the rest of the installation: a map alone
tells nothing, and can lie beside the masked text.
"""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cadre_local.errors import CadreError

_FORMAT = b"cadre-token-map/1\n"
_KEY_BYTES, _NONCE_BYTES = 32, 12


class TokenMap:
    """A sealed file of token -> value; `token_key` makes tokens that are the same in every run."""

    def __init__(self, path: Path, key_file: Path) -> None:
        """Raises CadreError when the key file is not one; it is made on first use."""
        root = _key(key_file)
        self._path = path
        self.token_key = _derived(root, b"token")
        self._seal = AESGCM(_derived(root, b"map"))

    def read(self) -> dict[str, str]:
        """The pairs; raises CadreError(MapMissing or MapUnreadable)."""
        try:
            data = self._path.read_bytes()
        except OSError as error:
            fix = "give the --map that `cadre guard mask` wrote"
            raise CadreError("MapMissing", f"cannot read {self._path}: {error.strerror}", fix) from error
        try:
            if not data.startswith(_FORMAT):
                raise ValueError("another format")
            sealed = data[len(_FORMAT) :]
            plain = self._seal.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _FORMAT)
            return cast("dict[str, str]", json.loads(plain))
        except (InvalidTag, ValueError) as error:
            raise CadreError(
                "MapUnreadable",
                f"{self._path} is no token map of this key",
                "use the --key-file it was made with",
            ) from error

    def add(self, pairs: Mapping[str, str]) -> None:
        """Keep more pairs beside those that are there; the file is replaced in one step."""
        known = self.read() if self._path.exists() else {}
        nonce = secrets.token_bytes(_NONCE_BYTES)
        plain = json.dumps({**known, **pairs}).encode("utf-8", "surrogatepass")
        _write(self._path, _FORMAT + nonce + self._seal.encrypt(nonce, plain, _FORMAT))


def _key(file: Path) -> bytes:
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(file, secrets.token_bytes(_KEY_BYTES))
        key, mode = file.read_bytes(), file.stat().st_mode
    except OSError as error:
        raise CadreError("KeyUnusable", f"cannot use {file}: {error.strerror}", "check --key-file") from error
    if len(key) != _KEY_BYTES or mode & 0o077:
        raise CadreError("KeyUnusable", f"{file} is not a private file of 32 bytes", f"chmod 600 {file}")
    return key


def _derived(root: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, None, b"cadre-local/" + purpose).derive(root)


def _write(file: Path, content: bytes) -> None:
    scratch = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(content)
        scratch.replace(file)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise CadreError(
            "Unwritable", f"cannot write {file}: {error.strerror}", "check the folder"
        ) from error
