"""Ed25519 signatures of audit checkpoints (JWS, RFC 7515, EdDSA), checked with a public key in JWK form."""

from collections.abc import Callable, Mapping

import jwt

from cadre_local.errors import CadreError


def checker(public_key: Mapping[str, object]) -> Callable[[str], bytes]:
    """A function from a JWS to its payload; raises `BadSignature` when this key did not sign it."""
    try:
        key = jwt.PyJWK(dict(public_key), algorithm="EdDSA")
    except (jwt.PyJWKError, jwt.InvalidKeyError) as error:
        raise CadreError(
            "BadKey", f"the public key is not an Ed25519 JWK: {error}", "export the audit again"
        ) from error

    def check(signed: str) -> bytes:
        try:
            payload = jwt.PyJWS().decode(signed, key=key, algorithms=["EdDSA"])
        except jwt.InvalidTokenError as error:
            raise CadreError(
                "BadSignature",
                f"the checkpoint's signature does not hold: {error}",
                "treat the audit as altered",
            ) from error
        assert isinstance(payload, bytes)
        return payload

    return check
