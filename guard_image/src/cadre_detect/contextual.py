"""What is an entity by its form alone (e-mail) or by the word before it (phone, card, birth date, patient
number).

The e-mail form is ours because presidio's accepts only registered public suffixes, and companies use
`.internal`, `.local` and `.example`; it also looks the suffix list up over the network, which a guard must
never do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cadre_detect.entities import data_class_for
from cadre_detect.findings import Finding
from cadre_detect.linear import Pattern, compile_pattern


@dataclass(frozen=True, slots=True)
class _Rule:
    entity_type: str
    pattern: Pattern
    group: int
    score: float
    accept: Callable[[str], bool]


def _digits(value: str) -> str:
    return "".join(c for c in value if c.isdigit())


def _passes_luhn(value: str) -> bool:
    """ISO/IEC 7812-1 check digit over 12 to 19 digits."""
    digits = [int(c) for c in _digits(value)]
    if not 12 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = (digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _phone_length(value: str) -> bool:
    return 7 <= len(_digits(value)) <= 15


def _international(value: str) -> bool:
    """`+` and 7 to 15 digits (ITU-T E.164); unseparated ones need 10, else they are signed numbers."""
    return _phone_length(value) and (not value[1:].isdigit() or len(value) > 10)


def _any(value: str) -> bool:
    return True


_EMAIL = (
    r"[\pL\pN](?:[\pL\pN._%+'\-]{0,62}[\pL\pN_])?"
    r"@(?:[\pL\pN](?:[\pL\pN\-]{0,61}[\pL\pN])?\.)+\pL[\pL\pN\-]{0,22}[\pL\pN]"
)
_DATE = (
    r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./\-]\d{1,2}[./\-]\d{2,4}"
    r"|\d{1,2}\.? \pL{3,9}\.?,? \d{4}|\pL{3,9}\.? \d{1,2},? \d{4}"
)
_INTERNATIONAL = r"\+\d{1,3}[ .\-/]?(?:\(0?\d{0,4}\)[ .\-/]?)?\d(?:[ .\-/]?\d){5,12}"
_SPOKEN_PHONE = (
    r"(?i)\b(?:phone|tel|telephone|telefon|mobile|mobil|handy|cell|fax|call|dial|reach|whatsapp|sms)\b"
    r"[^\d+(\n]{0,24}([+(]?\d(?:[ ().\-/]{0,3}\d){6,14}(?:\s?(?:x|ext\.?)\s?\d{1,6})?)"
)
_SPOKEN_CARD = (
    r"(?i)\b(?:card|visa|mastercard|maestro|amex|credit|debit|kreditkarte|pan)\b"
    r"[^\d\n]{0,30}(\d(?:[ \-]?\d){11,18})"
)
_BIRTH = (
    r"(?i)\b(?:born(?: on)?|date of birth|birth ?date|birthday|dob|geboren(?: am)?|geburtsdatum)"
    rf"[\"':\s]{{1,6}}({_DATE})"
)
_RECORD = (
    r"(?i)\b(?:mrn|medical record(?: number| no\.?)?|patient (?:id|number|no\.?))"
    r"[\"':#\s]{1,6}([A-Z]{0,4}-?\d{4,12})\b"
)
_RULES = (
    _Rule("EMAIL_ADDRESS", compile_pattern(_EMAIL), 0, 1.0, _any),
    _Rule("PHONE_NUMBER", compile_pattern(_INTERNATIONAL), 0, 0.6, _international),
    _Rule("PHONE_NUMBER", compile_pattern(_SPOKEN_PHONE), 1, 0.65, _phone_length),
    _Rule("CREDIT_CARD", compile_pattern(_SPOKEN_CARD), 1, 0.9, _passes_luhn),
    _Rule("DATE_OF_BIRTH", compile_pattern(_BIRTH), 1, 0.8, _any),
    _Rule("MEDICAL_RECORD", compile_pattern(_RECORD), 1, 0.8, _any),
)


def scan(text: str, wanted: frozenset[str]) -> Iterator[Finding]:
    """Entities of the wanted types."""
    for rule in _RULES:
        if rule.entity_type not in wanted or (rule.entity_type == "EMAIL_ADDRESS" and "@" not in text):
            continue
        for match in rule.pattern.finditer(text):
            if rule.accept(match.group(rule.group)):
                start, end = match.span(rule.group)
                yield Finding(rule.entity_type, start, end, rule.score, data_class_for(rule.entity_type))
