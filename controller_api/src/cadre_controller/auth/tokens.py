"""JWTs of our own (RFC 7519, EdDSA per RFC 8037): one audience per port, so that a token of one port is
worthless at the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from cadre_api.protocol.base import type_json
from cadre_controller.auth.identity import PersonIdentity
from cadre_controller.auth.verified import VerifiedClaims, VerifiedTokens
from cadre_controller.ports import AgentIdentity, Clock, Ids
from cadre_controller.refusals import Unauthorized

PUBLIC_AUDIENCE = "cadre-public"
GUARD_AUDIENCE = "cadre-guard"
ANALYZER_AUDIENCE = "cadre-analyzer"
GUARD_LIFETIME = timedelta(minutes=30)
PERSON_LIFETIME = timedelta(hours=8)
_ISSUER = "cadre-controller"
_ALGORITHM = "EdDSA"
_MAX_TOKEN_CHARS = 4096
_UNREADABLE = (jwt.InvalidTokenError, UnicodeEncodeError)
"""A header may hold bytes that are no UTF-8."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and when it ends."""

    token: str
    expires_at: datetime


class Tokens:
    """Issues and verifies; the key never leaves it."""

    def __init__(self, key: Ed25519PrivateKey, clock: Clock, ids: Ids) -> None:
        self._key = key
        self._public = key.public_key()
        self._clock = clock
        self._ids = ids
        self._seen = VerifiedTokens()

    def for_guard(self, identity: AgentIdentity) -> IssuedToken:
        """A token for the guard port, bound to agent and instance, 30 minutes."""
        return self._issue(_guard_claims(identity), GUARD_AUDIENCE, GUARD_LIFETIME)

    def for_analyzer(self, identity: AgentIdentity) -> IssuedToken:
        """A token that tells the analyzer of a machine whose texts it reads, 30 minutes; no port takes it."""
        return self._issue(_guard_claims(identity), ANALYZER_AUDIENCE, GUARD_LIFETIME)

    def public_jwk(self) -> type_json:
        """The key by which others verify what we issued."""
        jwk = OKPAlgorithm.to_jwk(self._public, as_dict=True)
        return {**jwk, "alg": _ALGORITHM, "use": "sig"}

    def for_person(self, identity: PersonIdentity) -> IssuedToken:
        """A token for the public port, 8 hours."""
        claims = {"sub": identity.person, "tenant": identity.tenant}
        return self._issue(claims, PUBLIC_AUDIENCE, PERSON_LIFETIME)

    def guard(self, token: str) -> AgentIdentity:
        """The guard behind a token; raises Unauthorized."""
        claims = self._verified(token, GUARD_AUDIENCE)
        identity = AgentIdentity(
            claims["tenant"], claims["sub"], claims.get("instance", ""), claims.get("replica", "")
        )
        if not (identity.agent and identity.instance):
            raise Unauthorized("InvalidToken", "the token names no agent instance")
        return identity

    def person(self, token: str) -> PersonIdentity:
        """The person behind a token; raises Unauthorized."""
        claims = self._verified(token, PUBLIC_AUDIENCE)
        return PersonIdentity(claims["tenant"], claims["sub"])

    def is_ours(self, token: str) -> bool:
        """Whether `person` or `guard` should judge it: all but what names another issuer."""
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except _UNREADABLE:
            return True
        return claims.get("iss") == _ISSUER

    def _issue(self, claims: dict[str, str], audience: str, lifetime: timedelta) -> IssuedToken:
        now = self._clock.now()
        expires_at = (now + lifetime).replace(microsecond=0)
        registered = {"iss": _ISSUER, "aud": audience, "jti": self._ids.new("jwt")}
        times = {"iat": int(now.timestamp()), "exp": int(expires_at.timestamp())}
        token = jwt.encode({**claims, **registered, **times}, self._key, algorithm=_ALGORITHM)
        return IssuedToken(token, expires_at)

    def _verified(self, token: str, audience: str) -> Mapping[str, str]:
        """The string claims; time is checked against our own clock, each time."""
        if len(token) > _MAX_TOKEN_CHARS:
            raise Unauthorized("InvalidToken", "the token is too long")
        seen = self._seen.find(token, audience)
        claims = seen or self._signed(token, audience)
        if self._clock.now().timestamp() >= claims.expires:
            self._seen.forget(token, audience)
            raise Unauthorized("TokenExpired", "the token has expired")
        if seen is None:
            self._seen.keep(token, audience, claims)
        return claims.texts

    def _signed(self, token: str, audience: str) -> VerifiedClaims:
        """What a token says whose signature, issuer and audience are right."""
        options: jwt.types.Options = {
            "require": ["exp", "iat", "sub", "aud", "iss"],
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        }
        try:
            claims = jwt.decode(token, self._public, [_ALGORITHM], options, audience=audience, issuer=_ISSUER)
        except _UNREADABLE as error:
            raise Unauthorized(
                "InvalidToken", f"the token is not valid here: {type(error).__name__}"
            ) from error
        if not isinstance(claims["exp"], int):
            raise Unauthorized("TokenExpired", "the token has expired")
        texts = {"tenant": "", **{key: value for key, value in claims.items() if isinstance(value, str)}}
        return VerifiedClaims(texts, claims["exp"])


def _guard_claims(identity: AgentIdentity) -> dict[str, str]:
    return {
        "sub": identity.agent,
        "tenant": identity.tenant,
        "instance": identity.instance,
        "replica": identity.replica,
    }
