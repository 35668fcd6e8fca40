"""What is an entity by its form alone (e-mail) or by the word before it (card, birth date, patient number).

The e-mail form is ours because presidio's accepts only registered public suffixes, and companies use
`.internal`, `.local` and `.example`; it also looks the suffix list up over the network, which a guard must
never do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cadre_detect.checksums import passes_luhn
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


def _any(value: str) -> bool:
    return True


_EMAIL = (
    r"[\pL\pN](?:[\pL\pN._%+'\-]{0,62}[\pL\pN_])?"
    r"@(?:[\pL\pN](?:[\pL\pN\-]{0,61}[\pL\pN])?\.)+\pL[\pL\pN\-]{0,22}[\pL\pN]"
)
_MONTH = (
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez|janv|févr|avr|juin|juil|août|déc|ene|abr"
    r"|ago|dic)\pL{0,7}\.?"
)
_DATE = (
    r"\d{4}[./\-]\d{1,2}[./\-]\d{1,2}|\d{1,2}[./\-]\d{1,2}[./\-]\d{2,4}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?\.? (?:of |de )?{_MONTH},?(?: de)? \d{{4}}"
    rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}"
)
_SPOKEN_CARD = (
    r"(?i)\b(?:card|visa|mastercard|maestro|amex|credit|debit|kreditkarte|pan|carte|tarjeta|cc)\b"
    r"[^\d\n]{0,30}(\d(?:[ \-]?\d){11,18})"
)
_BIRTH = (
    r"(?i)\b(?:born|d\.?o\.?b|date of birth|birth ?(?:date|day)|geboren|geburtsdatum|geb"
    r"|née? le|date de naissance"
    r"|nacid[oa]|fecha de nacimiento|data di nascita|data de nascimento)\b"
    rf"(?:\.|_at|_on)?"
    rf"(?:[^\d\n]{{0,3}}|[^\d\n.]{{0,32}}\W|[^\d\n]{{0,6}}\.\s{{1,2}}[^\d\n.]{{0,12}}\W)({_DATE})"
)
_SPOKEN_SSN = (
    r"(?i)\b(?:ssn|social security(?: (?:number|no\.?|num))?|soc\.? ?sec\.?)\b"
    r"[^\d\n]{0,24}(\d{3}[ \-]?\d{2}[ \-]?\d{4})\b"
)
"""Whatever is called one is masked, issued or not: areas from 900 on are tax numbers, and typing errors."""
_RECORD = (
    r"(?i)\b(?:mrn|medical record(?: number| no\.?)?|patient (?:id|number|no\.?))"
    r"[\"':#\s]{1,6}([A-Z]{0,4}-?\d{4,12})\b"
)
_RULES = (
    _Rule("EMAIL_ADDRESS", compile_pattern(_EMAIL), 0, 1.0, _any),
    _Rule("CREDIT_CARD", compile_pattern(_SPOKEN_CARD), 1, 0.9, passes_luhn),
    _Rule("US_SSN", compile_pattern(_SPOKEN_SSN), 1, 0.9, _any),
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
