"""What admission writes onto objects: who consented to what, and which change still waits.

Stamps are sealed with a key that only operators hold, so that one which did not pass admission counts for
nothing, whoever wrote it.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cadre_core.canonical import CanonicalError, canonical_json, digest

DECISION: Final = "cadre.dev/decision"
"""Written by people: `approve:<hash>`."""
CONSENT: Final = "cadre.dev/consent"
HELD: Final = "cadre.dev/held"
FROZEN_BY: Final = "cadre.dev/frozen-by"
"""Who wrote `spec.freeze`, and with which rank."""
OWNED: Final = (CONSENT, HELD, FROZEN_BY)
"""Annotations that nobody but admission writes."""
_HELD_LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class ConsentStamp:
    """A person agreed to an agent's effective rights."""

    uid: str
    rights_hash: str
    by: str
    """Person key."""
    at: str
    """RFC 3339, UTC."""


@dataclass(frozen=True, slots=True)
class HeldStamp:
    """A change is stored and has no effect until one of `ask` consents."""

    subject: str
    """`Kind namespace/name`."""
    spec_hash: str
    reason: str
    ask: tuple[str, ...]
    former: Mapping[str, object] | None
    """The spec that counts meanwhile; None = the object is new and does not count."""


@dataclass(frozen=True, slots=True)
class FreezeStamp:
    """A person wrote `spec.freeze`."""

    subject: str
    """`Kind namespace/name`."""
    by: str
    """Person key; empty when that is no Person."""
    rank: str
    """Node whose heads, and those above, may take it back."""


class StampTooLargeError(ValueError):
    """The former spec does not fit beside the new one."""

    reason = "TooLarge"


def seal_consent(stamp: ConsentStamp, key: bytes) -> str:
    """Write a consent for an annotation."""
    return _seal({"uid": stamp.uid, "rightsHash": stamp.rights_hash, "by": stamp.by, "at": stamp.at}, key)


def open_consent(text: str, uid: str, key: bytes) -> ConsentStamp | None:
    """Read a consent; None unless it is sealed by us and of this incarnation of the object."""
    found = _open(text, key)
    if found is None or found.get("uid") != uid:
        return None
    return ConsentStamp(uid, str(found.get("rightsHash")), str(found.get("by")), str(found.get("at")))


def seal_held(stamp: HeldStamp, key: bytes) -> str:
    """Write a held change for an annotation. Raises StampTooLargeError."""
    body = {
        "subject": stamp.subject,
        "specHash": stamp.spec_hash,
        "reason": stamp.reason,
        "ask": list(stamp.ask),
        "former": stamp.former,
    }
    sealed = _seal(body, key)
    if len(sealed) > _HELD_LIMIT:
        raise StampTooLargeError("the object is too large for a change that waits for consent")
    return sealed


def open_held(text: str, subject: str, key: bytes) -> HeldStamp | None:
    """Read a held change; None unless it is sealed by us and about this object."""
    found = _open(text, key)
    if found is None or found.get("subject") != subject:
        return None
    ask, former = found.get("ask"), found.get("former")
    return HeldStamp(
        subject,
        str(found.get("specHash")),
        str(found.get("reason")),
        tuple(str(person) for person in ask) if isinstance(ask, list) else (),
        former if isinstance(former, Mapping) else None,
    )


def seal_freeze(stamp: FreezeStamp, key: bytes) -> str:
    """Write a freeze for an annotation."""
    return _seal({"subject": stamp.subject, "by": stamp.by, "rank": stamp.rank}, key)


def open_freeze(text: str, subject: str, key: bytes) -> FreezeStamp | None:
    """Read a freeze; None unless it is sealed by us and about this object."""
    found = _open(text, key)
    if found is None or found.get("subject") != subject or "rank" not in found:
        return None
    return FreezeStamp(subject, str(found.get("by")), str(found.get("rank")))


def decision_of(notes: Mapping[str, str]) -> str:
    """Return the hash that somebody approves; empty when nobody does."""
    verb, _, approved = notes.get(DECISION, "").partition(":")
    return approved if verb == "approve" else ""


def spec_hash(spec: object) -> str:
    """Return the digest of a spec as written; empty when it has none."""
    try:
        return digest(spec)
    except CanonicalError:
        return ""


def _seal(body: Mapping[str, object], key: bytes) -> str:
    content = {"version": 1, **body}
    return json.dumps({**content, "seal": _mac(content, key)}, separators=(",", ":"), sort_keys=True)


def _open(text: str, key: bytes) -> dict[str, object] | None:
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    if not isinstance(found, dict) or not key:
        return None
    seal = found.pop("seal", "")
    try:
        valid = hmac.compare_digest(str(seal), _mac(found, key))
    except CanonicalError:
        return None
    return found if valid and found.get("version") == 1 else None


def _mac(content: Mapping[str, object], key: bytes) -> str:
    return hmac.new(key, b"cadre-stamp/1\n" + canonical_json(content), hashlib.sha256).hexdigest()
