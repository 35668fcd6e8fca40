"""One secret from which all keys of a controller follow: replicas agree without sharing anything they write.

HKDF-SHA256 (RFC 5869), one label per key. Whoever backs up 32 bytes has backed up every key.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cadre_controller.errors import KeystoreError

_BYTES = 32
_LABEL = "cadre-root-key/1"


@dataclass(frozen=True, slots=True)
class RootKey:
    """32 random bytes."""

    secret: bytes = field(repr=False)

    def derive(self, *label: str) -> bytes:
        """32 bytes for a label; parts are length-prefixed, so no two labels meet."""
        info = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in (_LABEL, *label))
        return HKDF(SHA256(), _BYTES, salt=None, info=info).derive(self.secret)


def read_root_key(path: Path) -> RootKey | None:
    """The root key in this file; None when the file is absent or something else. Raises KeystoreError."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != _BYTES:
            return None
        secret = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeystoreError(
            "KeystoreUnreadable",
            f"the root key cannot be read ({error.strerror})",
            "check the mounted Secret",
        ) from error
    # a mounted Secret belongs to root and is read through the pod's group; a file of our own is ours alone
    forbidden = 0o077 if found.st_uid == os.geteuid() and found.st_uid != 0 else 0o007
    if found.st_mode & forbidden:
        raise KeystoreError(
            "KeystoreKeyExposed", "the root key is readable by others", f"chmod 600 {path.name}"
        )
    return RootKey(secret)
