"""Which certificates and keys are to be written: pure, from what is held and the time."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cadre_core.login import KEY_BYTES
from cadre_operator.admission.certificates import (
    Certificates,
    authority_due,
    due,
    issue_authority,
    issue_serving,
    signed_within,
)

Data = Mapping[str, bytes]
"""Content of a Secret."""
LOGIN_KEY = "key"
_ROTATED = "rotated"
_LOGIN_DAYS = 30


def authority(held: Data, now: datetime) -> dict[str, bytes] | None:
    """Return what the Secret of the authority is to hold; None when that is so already.

    A new authority is trusted beside the former one: what that one signed is valid until it is renewed.
    """
    bundle, key = held.get("ca.crt", b""), held.get("ca.key", b"")
    if bundle and key and not authority_due(bundle, now):
        return None
    bundle, key = issue_authority("cadre", now, bundle)
    return {"ca.crt": bundle, "ca.key": key}


def serving(held: Data, hosts: tuple[str, ...], root: Data, now: datetime) -> dict[str, bytes] | None:
    """Return what the Secret of a server is to hold; None when that is so already."""
    bundle, key = root["ca.crt"], root["ca.key"]
    certificate, own = held.get("tls.crt", b""), held.get("tls.key", b"")
    valid = bool(certificate and own) and signed_within(certificate, bundle)
    if not valid or due(Certificates(bundle, key, certificate, own), hosts, now):
        certificate, own = issue_serving(hosts, bundle, key, now)
    wanted = {"ca.crt": bundle, "tls.crt": certificate, "tls.key": own}
    return None if all(held.get(name) == value for name, value in wanted.items()) else wanted


def login_keys(held: Data, now: datetime) -> dict[str, bytes] | None:
    """Return the keys of signing in, the current one first; None when they are young enough."""
    keys = held.get(LOGIN_KEY, b"")
    valid = len(keys) in (KEY_BYTES, 2 * KEY_BYTES)
    if valid and now - _since(held.get(_ROTATED, b"")) < timedelta(days=_LOGIN_DAYS):
        return None
    former = keys[:KEY_BYTES] if valid else b""
    return {LOGIN_KEY: secrets.token_bytes(KEY_BYTES) + former, _ROTATED: now.isoformat().encode()}


def _since(text: bytes) -> datetime:
    try:
        found = datetime.fromisoformat(text.decode())
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
