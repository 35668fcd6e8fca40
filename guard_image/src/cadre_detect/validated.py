"""Numbers with rules of their own (cards, IBANs, SSNs, phones, addresses), judged by presidio's validators.

A linear-time pass proposes candidates and only their surroundings are given to the validators, which are a
hundred times slower. Time stamps, UUIDs and digests are taken out first: their digits look like anything.
"""

from __future__ import annotations

import ipaddress
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from cadre_detect.entities import data_class_for
from cadre_detect.findings import Finding
from cadre_detect.linear import Pattern, compile_pattern


class _Result(Protocol):
    start: int
    end: int
    score: float


class _Validator(Protocol):
    def analyze(self, text: str, entities: list[str], nlp_artifacts: None) -> list[_Result]:
        """presidio's recogniser call."""


@dataclass(frozen=True, slots=True)
class _Family:
    entity_type: str
    recognizer: str
    candidate: Pattern
    accept: Callable[[str, int, int], bool]
    prepare: Callable[[str], str] = str


_NOISE = compile_pattern(
    r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"
    r"|\b(?:19|20)\d{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+\-]\d{2}:?\d{2})?)?"
    r"|\b\d{2}:\d{2}:\d{2}(?:[.,]\d+)?\b"
    r"|\b[0-9a-f]{7,128}\b|\b[0-9A-F]{32,128}\b"
)


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


_SERIAL = compile_pattern(r"^(?:19|20)\d{2}[\-/.]\d+$")
"""An invoice or ticket counted per year."""
_CAPITALS = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)


def _capitals(text: str) -> str:
    """ASCII letters in upper case, length kept; presidio knows IBANs in capitals only."""
    return text.translate(_CAPITALS)


def _anything(text: str, start: int, end: int) -> bool:
    return True


def _public_address(text: str, start: int, end: int) -> bool:
    """An address that tells of somebody: no loopback, no `a::b` of a program, no version."""
    before = text[max(0, start - 9) : start].lower()
    if before.rstrip().endswith(("version", "release")) or before.endswith(
        ("v", "-", "_", "/v", "=v", ".", ":")
    ):
        return False
    try:
        address = ipaddress.ip_address(text[start:end].split("%")[0].split("/")[0])
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified:
        return False
    return address.version == 4 or any(c.isdigit() for c in text[start:end])


def _dialled(text: str, start: int, end: int) -> bool:
    """A phone number written as one; bare digits are more often a counter or a time in seconds."""
    number = text[start:end].strip("[( ")
    around = text[start - 1 : start] + text[end : end + 1]
    if any(c.isalnum() for c in around) or text[end : end + 1] == "%":
        return False
    if not number.isdigit():
        return not _is_decimal(number) and not _SERIAL.search(number)
    return number.startswith("0") or (len(number) == 10 and not number.startswith("1"))


def _is_decimal(number: str) -> bool:
    groups = number.split(".")
    return (
        len(groups) > 1
        and all(g.isdigit() for g in groups)
        and (len(groups) == 2 or all(len(g) == 3 for g in groups[1:]))
    )


_FAMILIES = (
    _Family("CREDIT_CARD", "CreditCardRecognizer", compile_pattern(r"\d(?:[ \-]?\d){11,18}"), _anything),
    _Family(
        "IBAN_CODE",
        "IbanRecognizer",
        compile_pattern(r"(?i)\b[A-Z]{2}\d{2}[ \-]?(?:[A-Z0-9][ \-]?){10,30}"),
        _anything,
        _capitals,
    ),
    _Family(
        "IP_ADDRESS",
        "IpRecognizer",
        compile_pattern(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|[0-9a-fA-F]{0,4}:[0-9a-fA-F:.]+"),
        _public_address,
    ),
    _Family("US_SSN", "UsSsnRecognizer", compile_pattern(r"\b\d{3}[\- .]\d{2}[\- .]\d{4}\b"), _anything),
    _Family("CRYPTO", "CryptoRecognizer", compile_pattern(r"\b(?:bc1|[13])[A-Za-z0-9]{25,62}\b"), _anything),
    _Family(
        "MEDICAL_LICENSE", "MedicalLicenseRecognizer", compile_pattern(r"\b[A-Za-z]{2}\d{7}\b"), _anything
    ),
    _Family(
        "PHONE_NUMBER", "PhoneRecognizer", compile_pattern(r"[+(]?\d(?:[\s().\-/]{0,3}\d){6,14}"), _dialled
    ),
)
_RAW = frozenset({"CRYPTO", "IP_ADDRESS", "IBAN_CODE"})
_MARGIN = 24


@lru_cache(maxsize=64)
def _validator(name: str, regions: tuple[str, ...]) -> _Validator:
    from presidio_analyzer import predefined_recognizers as presidio

    made: _Validator = getattr(presidio, name)(
        **({"supported_regions": regions} if name == "PhoneRecognizer" else {})
    )
    return made


def scan(
    text: str, wanted: frozenset[str], regions: tuple[str, ...], dialled: list[Finding]
) -> Iterator[Finding]:
    """Numbers that pass their checks, with presidio's scores; `dialled` phone numbers are not looked at
    again.
    """
    quiet = without_noise(text)
    for family in _FAMILIES:
        if family.entity_type == "PHONE_NUMBER":
            yield from _scan_family(family, wanted, _blanked(quiet, dialled), regions)
        else:
            yield from _scan_family(family, wanted, text if family.entity_type in _RAW else quiet, regions)


def _scan_family(
    family: _Family, wanted: frozenset[str], text: str, regions: tuple[str, ...]
) -> Iterator[Finding]:
    for first, last in _windows(text, family.candidate) if family.entity_type in wanted else ():
        window = family.prepare(text[first:last])
        for result in _validator(family.recognizer, regions).analyze(window, [family.entity_type], None):
            start, end = first + result.start, first + result.end
            if family.accept(text, start, end):
                yield Finding(
                    family.entity_type, start, end, result.score, data_class_for(family.entity_type)
                )


def _blanked(text: str, findings: list[Finding]) -> str:
    pieces, position = [], 0
    for finding in sorted(findings, key=lambda f: f.start):
        pieces += [text[position : finding.start], " " * (finding.end - max(finding.start, position))]
        position = max(position, finding.end)
    return "".join([*pieces, text[position:]])


def _windows(text: str, candidate: Pattern) -> Iterator[tuple[int, int]]:
    """Stretches around candidates, merged where they touch, so that no text is validated twice."""
    first = last = -1
    for match in candidate.finditer(text):
        start, end = match.span()
        start, end = max(0, start - _MARGIN), min(len(text), end + _MARGIN)
        if start <= last:
            last = end
            continue
        if last >= 0:
            yield first, last
        first, last = start, end
    if last >= 0:
        yield first, last
