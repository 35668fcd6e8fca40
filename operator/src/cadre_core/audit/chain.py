"""Chain format v1 (`cadre-audit/1`).

    hash(n) = SHA-256( lp(domain) lp(tenant) u64(seq) lp(hash(n-1)) lp(canonical) )

lp(x) is a 64-bit big-endian length before the bytes, so that no two different tuples have the same bytes;
canonical is the record by RFC 8785. Tenant and sequence number are hashed: a link cannot be moved.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cadre_core.audit.record import AuditRecord
from cadre_core.canonical import canonical_json

DOMAIN = "cadre-audit/1"
GENESIS = "0" * 64
"""What the first link (seq 1) of a tenant's chain points back to."""


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A link: the exact bytes to store, and its hash (64 hex digits)."""

    canonical: bytes
    hash: str


def seal(prev_hash: str, seq: int, record: AuditRecord) -> SealedRecord:
    """Make the link that follows `prev_hash`. Raises CanonicalError when the record is no JSON."""
    canonical = canonical_json(record.as_json())
    return SealedRecord(canonical, link_hash(record.tenant_id, seq, prev_hash, canonical))


def link_hash(tenant: str, seq: int, prev_hash: str, canonical: bytes) -> str:
    """Hash a stored link. Raises ValueError when `prev_hash` is not hex or `seq` not in 1..2^64."""
    if not 0 < seq < 2**64:
        raise ValueError(f"{seq} is not a sequence number")
    parts = (_framed(DOMAIN.encode()), _framed(tenant.encode()), seq.to_bytes(8, "big"))
    content = b"".join((*parts, _framed(bytes.fromhex(prev_hash)), _framed(canonical)))
    return hashlib.sha256(content).hexdigest()


def _framed(part: bytes) -> bytes:
    return len(part).to_bytes(8, "big") + part


def commitment(salt: bytes, value: str) -> str:
    """Commit to a personal value: `sha256:<hex>`; checkable with the salt, meaningless once it is gone."""
    framed = _framed(b"cadre-commitment/1") + _framed(salt) + _framed(value.encode())
    return "sha256:" + hashlib.sha256(framed).hexdigest()


def merkle_root(hashes: Sequence[str]) -> str:
    """Return the Merkle tree hash over link hashes (RFC 9162 §2.1) in hex; ValueError if they are not."""
    return _tree([bytes.fromhex(item) for item in hashes]).hex()


def _tree(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        # pairing neighbours and carrying an odd last one up is the same tree as splitting at a power of two
        paired = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
