"""Numbers with check digits or rules of their own: cards, accounts, social security, network addresses.

A linear-time pass proposes candidates and arithmetic judges them. Time stamps, UUIDs and digests are taken
out first: their digits look like anything.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cadre_detect import phones
from cadre_detect.checksums import (
    iban_length,
    is_bitcoin_address,
    is_card,
    is_dea_number,
    is_iban,
    is_itin_shaped,
    is_ssn,
)
from cadre_detect.entities import data_class_for
from cadre_detect.findings import Finding
from cadre_detect.linear import Pattern, compile_pattern

Spans = Iterator[tuple[int, int, float]]


@dataclass(frozen=True, slots=True)
class _Family:
    entity_type: str
    candidate: Pattern
    judge: Callable[[str, int, int], Spans]


_NOISE = compile_pattern(
    r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"
    r"|\b(?:19|20)\d{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+\-]\d{2}:?\d{2})?)?"
    r"|\b\d{2}:\d{2}:\d{2}(?:[.,]\d+)?\b"
    r"|\b[0-9a-f]{7,128}\b|\b[0-9A-F]{32,128}\b"
)
_SSN_WORDS = compile_pattern(
    r"(?i)\b(?:ssn|social security|soc\.? ?sec|tax ?id|taxpayer|ss ?#|social)\b[^\n]{0,24}$"
)
_SSN = 9
_LEAST = 12
_NEAR = 64


def without_noise(text: str) -> str:
    """The text with time stamps, UUIDs and digests blanked out, offsets kept."""
    pieces, position = [], 0
    for match in _NOISE.finditer(text):
        start, end = match.span()
        if match.group().isdigit():
            continue
        pieces += [text[position:start], " " * (end - start)]
        position = end
    return "".join([*pieces, text[position:]])


def _card(text: str, start: int, end: int) -> Spans:
    """Every row of whole groups that is a card; other numbers may stand close by."""
    cuts = [i for i in range(start, end) if not text[i].isdigit()]
    ends = [*cuts, end]
    position = start
    for first in [start, *(i + 1 for i in cuts)]:
        for last in reversed(ends) if first >= position else ():
            if last - first >= _LEAST and is_card(text[first:last]) and not _continues(text, first, last):
                yield first, last, 1.0
                position = last
                break


def _continues(text: str, start: int, end: int) -> bool:
    """Letters, digits or a decimal point glued to the number."""
    before, after = text[start - 1 : start], text[end : end + 1]
    decimal = (before == "." and text[start - 2 : start - 1].isdigit()) or (
        after == "." and text[end + 1 : end + 2].isdigit()
    )
    return before.isalnum() or after.isalnum() or decimal


def _iban(text: str, start: int, end: int) -> Spans:
    """As many characters as accounts of the country have, single blanks and hyphens not counted.

    The candidate is no more than a beginning: another account may follow after a blank.
    """
    wanted, last, compact = iban_length(text[start : start + 2]), start, ""
    while last < len(text) and len(compact) < wanted:
        if text[last].isalnum():
            compact += text[last]
        elif text[last] not in " -" or not text[last - 1].isalnum():
            return
        last += 1
    if wanted and not text[last : last + 1].isalnum() and is_iban(compact.upper()):
        yield start, last, 1.0


def _address(text: str, start: int, end: int) -> Spans:
    """An address that tells of somebody: no loopback, no `a::b` of a program, no version."""
    found = text[start:end].rstrip(".:") if not text[start:end].endswith("::") else text[start:end]
    end = start + len(found)
    before = text[max(0, start - 10) : start].lower()
    if before.rstrip().endswith(("version", "release", "replaces")) or before.endswith(_VERSION_JOINTS):
        return
    try:
        address = ipaddress.ip_address(found)
    except ValueError:
        return
    if (
        address.is_loopback
        or address.is_unspecified
        or text[end : end + 1].isalnum()
        or text[start - 1 : start].isalnum()
    ):
        return
    if address.version == 4 or (any(c.isdigit() for c in found) and len(found) > 4):
        yield start, end, 0.95


_VERSION_JOINTS = ("v", "-", "_", "/v", "=v", ".", ":")


def _social_security(text: str, start: int, end: int) -> Spans:
    value = text[start:end]
    announced = bool(_SSN_WORDS.search(text[max(0, start - 40) : start]))
    joined = len(value) > _SSN
    if (is_ssn(value) and (announced or joined)) or (joined and "-" in value and is_itin_shaped(value)):
        yield start, end, 0.85 if announced else 0.5


def _bitcoin(text: str, start: int, end: int) -> Spans:
    if is_bitcoin_address(text[start:end]):
        yield start, end, 1.0


def _prescriber(text: str, start: int, end: int) -> Spans:
    if is_dea_number(text[start:end]):
        yield start, end, 1.0


_FAMILIES = (
    _Family("CREDIT_CARD", compile_pattern(r"\d(?:[ \-]?\d){11,98}"), _card),
    _Family("IBAN_CODE", compile_pattern(r"(?i)\b[A-Z]{2}\d{2}[ \-]?[A-Z0-9]"), _iban),
    _Family(
        "IP_ADDRESS",
        compile_pattern(
            r"\b\d{1,3}(?:\.\d{1,3}){3}\b|[0-9a-fA-F]{0,4}:[0-9a-fA-F:]+(?:\d{1,3}(?:\.\d{1,3}){3})?"
        ),
        _address,
    ),
    _Family("US_SSN", compile_pattern(r"\b(?:\d{3}[\- .]\d{2}[\- .]\d{4}|\d{9})\b"), _social_security),
    _Family("CRYPTO", compile_pattern(r"\b(?:bc1|[13])[A-Za-z0-9]{25,62}\b"), _bitcoin),
    _Family("MEDICAL_LICENSE", compile_pattern(r"\b[A-Za-z]{2}\d{7}\b"), _prescriber),
)
_RAW = frozenset({"CRYPTO", "IP_ADDRESS", "IBAN_CODE"})


def scan(text: str, wanted: frozenset[str], regions: tuple[str, ...]) -> Iterator[Finding]:
    """Numbers that pass their checks."""
    quiet = without_noise(text)
    found: list[Finding] = []
    for family in _FAMILIES:
        if family.entity_type in wanted:
            found += _scan_family(family, text if family.entity_type in _RAW else quiet)
    yield from found
    if "PHONE_NUMBER" in wanted:
        yield from phones.scan(quiet, regions)
        if found:
            yield from phones.scan(_beside(quiet, found), regions)


def _beside(text: str, found: list[Finding]) -> str:
    """What stands near these numbers, without them: a telephone number next to one must not run into it."""
    kept = bytearray(len(text))
    for each in found:
        first, last = max(0, each.start - _NEAR), min(len(text), each.end + _NEAR)
        kept[first:last] = b"\1" * (last - first)
    for each in found:
        kept[each.start : each.end] = bytes(each.end - each.start)
    return "".join(c if keep or c == "\n" else " " for c, keep in zip(text, kept, strict=True))


def _scan_family(family: _Family, text: str) -> Iterator[Finding]:
    for match in family.candidate.finditer(text):
        for start, end, score in family.judge(text, *match.span()):
            yield Finding(family.entity_type, start, end, score, data_class_for(family.entity_type))
