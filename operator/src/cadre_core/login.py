"""Signing in at the controller with whatever signs one in at the cluster; nothing is stored for it.

The CLI asks the API server for a dry run of creating an Agent named AGENT with its nonce in NOTE. The
operator's admission, which the API server tells who asks, answers with a warning that holds a code; the
controller trades the code for a token. A code is signed with a key that both share, and lives for a minute.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

AGENT: Final = "cadre-login"
"""Name of the Agent that is never made."""
NOTE: Final = "cadre.dev/login"
"""Annotation with the nonce."""
WARNING: Final = "cadre-login:"
"""What the warning begins with; the code follows."""
LIFETIME_SECONDS: Final = 60
KEY_BYTES: Final = 32
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_MAC_BYTES = 16
_HEAD_BYTES = 7
_MAX_USER_BYTES = 512
_MAX_CODE_CHARS = 1024
_VERSION = 1
_ADMIN = 1


class LoginError(ValueError):
    """A code or nonce does not do; `reason` is NonceInvalid, UserInvalid, CodeInvalid or CodeExpired."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Login:
    """Who the API server said is asking."""

    user: str
    nonce: str
    """The CLI's own; 16 to 64 of `A-Za-z0-9_-`, so that it knows its code and a code serves once."""
    expires: int
    """Seconds since 1970, UTC."""
    admin: bool = False
    """Whether the user belongs to ADMINS_GROUP."""


def seal_login(login: Login, keys: bytes) -> str:
    """Write a code; of `keys` the first signs. Raises LoginError (NonceInvalid, UserInvalid)."""
    if not _NONCE.fullmatch(login.nonce):
        raise LoginError("NonceInvalid", f"annotation {NOTE}: write 16 to 64 of A-Z a-z 0-9 _ -")
    user = login.user.encode("utf-8", "surrogatepass")
    if not 0 < len(user) <= _MAX_USER_BYTES:
        raise LoginError("UserInvalid", f"a user's name has 1 to {_MAX_USER_BYTES} bytes here")
    flags = _ADMIN if login.admin else 0
    head = bytes((_VERSION, flags, len(login.nonce))) + login.expires.to_bytes(_HEAD_BYTES - 3, "big")
    body = head + login.nonce.encode() + user
    return f"{_encoded(body)}.{_encoded(_mac(body, _split(keys)[0]))}"


def open_login(code: str, keys: bytes, now: int) -> Login:
    """Read a code; any of `keys` may have signed it. Raises LoginError (CodeInvalid, CodeExpired)."""
    text, _, seal = code.strip().removeprefix(WARNING).partition(".")
    body, mac = _decoded(text), _decoded(seal)
    signed = any(hmac.compare_digest(mac, _mac(body, key)) for key in _split(keys))
    if not signed or len(code) > _MAX_CODE_CHARS or body[0] != _VERSION:
        raise LoginError("CodeInvalid", "the code was not signed here; sign in again")
    end = _HEAD_BYTES + body[2]
    expires = int.from_bytes(body[3:_HEAD_BYTES], "big")
    if not now < expires <= now + 2 * LIFETIME_SECONDS:
        raise LoginError("CodeExpired", f"a code lives for {LIFETIME_SECONDS} seconds; sign in again")
    user = body[end:].decode("utf-8", "surrogatepass")
    return Login(user, body[_HEAD_BYTES:end].decode(), expires, bool(body[1] & _ADMIN))


def code_in(warnings: Iterable[str]) -> str:
    """Return the code among the API server's warnings; empty when there is none."""
    found = (warning.strip() for warning in warnings)
    return next((text.removeprefix(WARNING) for text in found if text.startswith(WARNING)), "")


def _split(keys: bytes) -> tuple[bytes, ...]:
    """Split a key file: the current key, then the former one, which may still have signed a code."""
    found = tuple(keys[i : i + KEY_BYTES] for i in range(0, len(keys), KEY_BYTES))
    if not found or len(found[-1]) != KEY_BYTES:
        raise ValueError(f"a login key has a multiple of {KEY_BYTES} bytes")
    return found


def _mac(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"cadre-login/1\n" + body, hashlib.sha256)[:_MAC_BYTES]


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""
