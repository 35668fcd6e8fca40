"""Tokens whose signature was checked lately: a guard shows the same one with each request for half an hour,
and checking it anew costs more than much of what it asks for.

Only the signature is remembered. Whether a token has ended is looked at each time, and so is everything else
that may end its worth (a frozen agent, a newer instance), by those who know.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

LIMIT = 8192
"""Tokens kept, about 1 KiB each; beyond it the one that was not shown for longest is forgotten."""


@dataclass(frozen=True, slots=True)
class VerifiedClaims:
    """What a token with a good signature says."""

    texts: Mapping[str, str]
    expires: int
    """Seconds since the epoch (`exp`, RFC 7519)."""


class VerifiedTokens:
    """Claims by token and audience; the tokens themselves are not kept, only their hashes."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._claims: OrderedDict[bytes, VerifiedClaims] = OrderedDict()

    def __len__(self) -> int:
        return len(self._claims)

    def find(self, token: str, audience: str) -> VerifiedClaims | None:
        """The claims, if the signature was checked for this audience; they may have expired since."""
        key = _key(token, audience)
        claims = self._claims.get(key)
        if claims is not None:
            self._claims.move_to_end(key)
        return claims

    def keep(self, token: str, audience: str, claims: VerifiedClaims) -> None:
        """Remember a token whose signature was just checked for this audience."""
        self._claims[_key(token, audience)] = claims
        if len(self._claims) > self._limit:
            self._claims.popitem(last=False)

    def forget(self, token: str, audience: str) -> None:
        """Drop a token that has ended."""
        self._claims.pop(_key(token, audience), None)


def _key(token: str, audience: str) -> bytes:
    return hashlib.sha256(f"{audience}\n{token}".encode("utf-8", "surrogatepass")).digest()
