"""Verification that trusts nobody: every link is recomputed, and the end must be the one that was signed."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from cadre_core.audit.chain import DOMAIN, GENESIS, link_hash, merkle_root


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was signed: the head after `seq`, and the Merkle root over the links `since`+1 .. `seq`."""

    tenant: str
    seq: int
    head: str
    root: str = ""
    at: str = ""
    since: int = 0


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """Whether a chain holds; `first_bad` is the sequence number where it breaks, 0 when it does not."""

    ok: bool
    count: int
    first_bad: int = 0
    reason: str = ""
    head: str = GENESIS
    seq: int = 0


class _BrokenError(Exception):
    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(reason)
        self.seq = seq
        self.reason = reason


def verify_checkpoint(jws: str, check: Callable[[str], bytes]) -> Checkpoint:
    """Read a signed checkpoint; `check` returns the payload of a JWS whose signature holds, else raises."""
    payload = json.loads(check(jws))
    return Checkpoint(
        tenant=str(payload["tenant"]),
        seq=int(payload["seq"]),
        head=str(payload["head"]),
        root=str(payload.get("root", "")),
        at=str(payload.get("at", "")),
        since=int(payload.get("since", 0)),
    )


def verify_chain(lines: Iterable[str | bytes], checkpoint: Checkpoint | None = None) -> VerifyReport:
    """Check an export: a header line, then one `{seq, prevHash, hash, canonical}` a line.

    With a checkpoint the chain must reach it with that very head: a chain that was rewritten or cut off is
    whole in itself, and only the checkpoint tells.
    """
    walk = _Walk(checkpoint)
    try:
        for number, line in enumerate(lines):
            if number == 0:
                walk.open(_object(line, 0))
            elif line.strip():
                walk.take(_object(line, walk.seq + 1))
        walk.close()
    except _BrokenError as error:
        return VerifyReport(False, walk.count, error.seq, error.reason, walk.head, walk.seq)
    return VerifyReport(True, walk.count, 0, "", walk.head, walk.seq)


def _object(line: str | bytes, seq: int) -> Mapping[str, object]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise _BrokenError(seq, "NotJson") from error
    if not isinstance(value, dict):
        raise _BrokenError(seq, "NotJson")
    return value


class _Walk:
    def __init__(self, checkpoint: Checkpoint | None) -> None:
        self._checkpoint = checkpoint
        self._tenant: str | None = None
        self._leaves: list[str] = []
        self.head = GENESIS
        self.seq = 0
        self.count = 0

    def open(self, header: Mapping[str, object]) -> None:
        if header.get("format") != DOMAIN:
            raise _BrokenError(0, "UnknownFormat")
        self._tenant = str(header.get("tenant", ""))
        if self._checkpoint is not None and self._checkpoint.tenant != self._tenant:
            raise _BrokenError(0, "OtherTenant")

    def take(self, row: Mapping[str, object]) -> None:
        seq, previous, stated = row.get("seq"), row.get("prevHash"), row.get("hash")
        if seq != self.seq + 1 or isinstance(seq, bool) or not isinstance(seq, int):
            raise _BrokenError(self.seq + 1, "SequenceGap")
        if previous != self.head:
            raise _BrokenError(seq, "BrokenLink")
        canonical = str(row.get("canonical", "")).encode()
        if self._tenant_of(canonical, seq) != self._tenant:
            raise _BrokenError(seq, "OtherTenant")
        actual = link_hash(self._tenant or "", seq, self.head, canonical)
        if actual != stated:
            raise _BrokenError(seq, "HashMismatch")
        self.seq, self.head, self.count = seq, actual, self.count + 1
        self._compare()

    def _tenant_of(self, canonical: bytes, seq: int) -> object:
        return _object(canonical, seq).get("tenantId")

    def _compare(self) -> None:
        point = self._checkpoint
        if point is None or self.seq > point.seq:
            return
        if self.seq > point.since:
            self._leaves.append(self.head)
        if self.seq < point.seq:
            return
        if self.head != point.head:
            raise _BrokenError(self.seq, "NotTheSignedHead")
        if point.root and merkle_root(self._leaves) != point.root:
            raise _BrokenError(self.seq, "NotTheSignedRoot")

    def close(self) -> None:
        if self._tenant is None:
            raise _BrokenError(0, "Empty")
        if self._checkpoint is not None and self.seq < self._checkpoint.seq:
            raise _BrokenError(self.seq + 1, "ShorterThanSigned")
