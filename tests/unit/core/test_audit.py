"""The chain: what is hashed, what a verifier notices, what a checkpoint proves."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from cadre_core.audit import (
    GENESIS,
    AuditActor,
    AuditRecord,
    Checkpoint,
    commitment,
    merkle_root,
    seal,
    verify_chain,
    verify_checkpoint,
)
from cadre_core.audit.chain import link_hash
from cadre_core.canonical import CanonicalError

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def record(number: int = 1, tenant: str = "co") -> AuditRecord:
    return AuditRecord(
        id=f"e{number}",
        ts=AT + timedelta(seconds=number),
        tenant_id=tenant,
        actor=AuditActor("Agent", "co/fin-1"),
        action="tool.call",
        target="co/ledger/post",
        result="ok",
        redactions={"PERSON": 2},
        cost={"tokens": 5, "usd": "0.01"},
        trace_id="t",
        data={"n": number},
        commitments={"name": commitment(b"salt", "Ann")},
    )


def export(count: int = 5, tenant: str = "co") -> list[str]:
    lines = [json.dumps({"format": "cadre-audit/1", "tenant": tenant, "publicKey": {}})]
    head = GENESIS
    for seq in range(1, count + 1):
        sealed = seal(head, seq, record(seq, tenant))
        row = {"seq": seq, "prevHash": head, "hash": sealed.hash, "canonical": sealed.canonical.decode()}
        lines.append(json.dumps(row))
        head = sealed.hash
    return lines


def hashes(lines: list[str]) -> list[str]:
    return [json.loads(line)["hash"] for line in lines[1:]]


def point(lines: list[str], seq: int, since: int = 0) -> Checkpoint:
    found = hashes(lines)
    return Checkpoint("co", seq, found[seq - 1], merkle_root(found[since:seq]), since=since)


def test_format_1_never_changes() -> None:
    sealed = seal(GENESIS, 1, record())
    assert sealed.canonical.startswith(
        b'{"action":"tool.call","actor":{"id":"co/fin-1","role":"","type":"Agent"}'
    )
    assert b'"ts":"2026-01-02T03:04:06.000000+00:00"' in sealed.canonical
    framed = b"".join(
        len(part).to_bytes(8, "big") + part if number != 2 else part
        for number, part in enumerate(
            (b"cadre-audit/1", b"co", (1).to_bytes(8, "big"), bytes(32), sealed.canonical)
        )
    )
    assert sealed.hash == hashlib.sha256(framed).hexdigest()
    assert sealed.hash == "405ce1db3629297d62aebcf8da0590db75e6fef081673b429678eb811ed8c4f5"


def test_time_zones_do_not_matter() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5)))
    actor = AuditActor("System", "s")
    same = [AuditRecord("i", at, "co", actor, "a", "t", "ok") for at in (AT, elsewhere)]
    assert seal(GENESIS, 1, same[0]) == seal(GENESIS, 1, same[1])


def test_a_whole_chain_verifies() -> None:
    report = verify_chain([*export(), ""])
    assert (report.ok, report.count, report.seq, report.first_bad) == (True, 5, 5, 0)
    assert verify_chain([line.encode() for line in export()]).ok
    assert verify_chain(export(0)).ok


def change(number: int, **fields: object) -> Callable[[list[str]], list[str]]:
    def apply(lines: list[str]) -> list[str]:
        row = json.loads(lines[number]) | fields
        return [*lines[:number], json.dumps(row), *lines[number + 1 :]]

    return apply


@pytest.mark.parametrize(
    ("tamper", "first_bad", "reason"),
    [
        (change(3, canonical=json.dumps({"tenantId": "co", "n": 9})), 3, "HashMismatch"),
        (change(3, canonical=json.dumps({"tenantId": "other"})), 3, "OtherTenant"),
        (change(3, canonical="not json"), 3, "NotJson"),
        (change(3, hash="0" * 64), 3, "HashMismatch"),
        (change(3, prevHash="0" * 64), 3, "BrokenLink"),
        (change(3, seq=4), 3, "SequenceGap"),
        (change(1, seq=True), 1, "SequenceGap"),
        (lambda lines: [*lines[:2], *lines[3:]], 2, "SequenceGap"),
        (lambda lines: [lines[0], *lines[:0:-1]], 1, "SequenceGap"),
        (lambda lines: [*lines[:2], "{", *lines[2:]], 2, "NotJson"),
        (lambda lines: [*lines[:2], "[]", *lines[2:]], 2, "NotJson"),
        (lambda lines: lines[1:], 0, "UnknownFormat"),
        (lambda lines: [], 0, "Empty"),
    ],
)
def test_tampering_is_found_where_it_is(
    tamper: Callable[[list[str]], list[str]], first_bad: int, reason: str
) -> None:
    report = verify_chain(tamper(export()))
    assert (report.ok, report.first_bad, report.reason) == (False, first_bad, reason)


def test_only_the_checkpoint_tells_a_rewritten_or_cut_chain() -> None:
    lines = export()
    assert verify_chain(lines, point(lines, 5)).ok
    assert verify_chain(lines, point(lines, 3)).ok
    assert verify_chain(lines, point(lines, 5, since=2)).ok
    assert verify_chain(lines[:-1]).ok
    assert verify_chain(lines[:-1], point(lines, 5)).reason == "ShorterThanSigned"
    rewritten = Checkpoint("co", 4, "f" * 64)
    assert verify_chain(lines, rewritten).reason == "NotTheSignedHead"
    wrong_root = Checkpoint("co", 4, hashes(lines)[3], "f" * 64)
    assert verify_chain(lines, wrong_root).reason == "NotTheSignedRoot"
    assert verify_chain(lines, Checkpoint("other", 5, "")).reason == "OtherTenant"


def test_a_checkpoint_is_read_only_if_its_signature_holds() -> None:
    payload = {"tenant": "co", "seq": 5, "head": "a", "root": "b", "at": "now", "since": 2}
    assert verify_checkpoint("jws", lambda _: json.dumps(payload).encode()) == Checkpoint(
        "co", 5, "a", "b", "now", 2
    )

    def refuse(_: str) -> bytes:
        raise PermissionError

    with pytest.raises(PermissionError):
        verify_checkpoint("jws", refuse)


def test_merkle_root_as_in_rfc_9162() -> None:
    def tree(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return hashlib.sha256(b"\x00" + leaves[0]).digest()
        split = 1
        while split * 2 < len(leaves):
            split *= 2
        return hashlib.sha256(b"\x01" + tree(leaves[:split]) + tree(leaves[split:])).digest()

    assert merkle_root([]) == hashlib.sha256(b"").hexdigest()
    for count in range(1, 40):
        leaves = [hashlib.sha256(bytes([i])).digest() for i in range(count)]
        assert merkle_root([leaf.hex() for leaf in leaves]) == tree(leaves).hex()


def test_commitments_need_their_salt() -> None:
    assert commitment(b"s", "Ann") == commitment(b"s", "Ann")
    assert len({commitment(b"s", "Ann"), commitment(b"t", "Ann"), commitment(b"s", "Bob")}) == 3
    assert commitment(b"ab", "c") != commitment(b"a", "bc")


def test_what_cannot_be_sealed() -> None:
    with pytest.raises(ValueError, match="sequence"):
        link_hash("co", 0, GENESIS, b"")
    with pytest.raises(CanonicalError):
        seal(GENESIS, 1, AuditRecord("i", AT, "co", AuditActor("A", "a"), "a", "t", "ok", data={"x": 2**60}))
