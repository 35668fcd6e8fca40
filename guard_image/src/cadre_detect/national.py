"""Numbers by which states know people, with presidio's patterns and check digits.

Most are plain rows of digits, so a word that announces them must stand near; presidio is loaded when the
first candidate turns up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from cadre_detect.entities import data_class_for
from cadre_detect.findings import Finding
from cadre_detect.linear import Pattern, compile_pattern

_REACH = 48
_CHECKED = 0.99


class _Result(Protocol):
    start: int
    end: int
    score: float


class _Validator(Protocol):
    def analyze(self, text: str, entities: list[str], nlp_artifacts: None) -> list[_Result]:
        """presidio's recogniser call."""


@dataclass(frozen=True, slots=True)
class _Number:
    entity_type: str
    recognizer: str
    candidate: Pattern
    announced: Pattern
    """Words one of which must stand near, unless the check digits of `candidate` prove enough."""
    proves_itself: bool = False


def _number(
    entity_type: str, recognizer: str, candidate: str, words: str, *, proves_itself: bool = False
) -> _Number:
    announced = compile_pattern(rf"(?i)\b(?:{words})\b")
    return _Number(entity_type, recognizer, compile_pattern(rf"\b{candidate}\b"), announced, proves_itself)


_NUMBERS = (
    _number("UK_NHS", "NhsRecognizer", r"\d{3}[\- ]?\d{3}[\- ]?\d{4}", "nhs|national health"),
    _number(
        "UK_NINO",
        "UkNinoRecognizer",
        r"(?i)[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]",
        "nino|national insurance|ni",
    ),
    _number(
        "US_ITIN",
        "UsItinRecognizer",
        r"9\d{2}[\- ]?\d{2}[\- ]?\d{4}",
        "itin|individual taxpayer|tax(?:payer)? id",
    ),
    _number(
        "US_PASSPORT", "UsPassportRecognizer", r"[A-Z]?\d{8,9}", "passport|passeport|reisepass|pasaporte"
    ),
    _number(
        "US_DRIVER_LICENSE",
        "UsLicenseRecognizer",
        r"[A-Z]{0,2}[\d\-]{6,14}",
        r"driver'?s? licen[cs]e|driving licen[cs]e|dl",
    ),
    _number(
        "US_BANK_NUMBER",
        "UsBankRecognizer",
        r"\d{8,17}",
        r"(?:bank|checking|savings) account|account (?:no|number)|acct",
    ),
    _number("ES_NIF", "EsNifRecognizer", r"\d{7,8}-?[A-Z]", "dni|nif", proves_itself=True),
    _number("ES_NIE", "EsNieRecognizer", r"[XYZ]-?\d{7}-?[A-Z]", "nie", proves_itself=True),
    _number(
        "IT_FISCAL_CODE",
        "ItFiscalCodeRecognizer",
        r"(?i)[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]",
        "codice fiscale",
        proves_itself=True,
    ),
    _number("PL_PESEL", "PlPeselRecognizer", r"\d{11}", "pesel"),
    _number("SG_NRIC_FIN", "SgFinRecognizer", r"(?i)[STFGM]\d{7}[A-Z]", "nric|fin"),
    _number("AU_TFN", "AuTfnRecognizer", r"\d{3} ?\d{3} ?\d{3}", "tfn|tax file"),
    _number("AU_MEDICARE", "AuMedicareRecognizer", r"[2-6]\d{3} ?\d{5} ?\d", "medicare"),
    _number("IN_AADHAAR", "InAadhaarRecognizer", r"\d{4}[ \-:]?\d{4}[ \-:]?\d{4}", "aadhaar|uidai|uid"),
    _number("IN_PAN", "InPanRecognizer", r"[A-Z]{5}\d{4}[A-Z]", "pan|permanent account"),
    _number(
        "FI_PERSONAL_IDENTITY_CODE",
        "FiPersonalIdentityCodeRecognizer",
        r"\d{6}[+\-A-Y]\d{3}[0-9A-Z]",
        "hetu|henkilötunnus",
        proves_itself=True,
    ),
    _number(
        "SE_PERSONNUMMER",
        "SePersonnummerRecognizer",
        r"(?:\d{2})?\d{6}[\-+]?\d{4}",
        "personnummer|personal identity",
    ),
    _number("CA_SIN", "CaSinRecognizer", r"\d{3}[\- ]?\d{3}[\- ]?\d{3}", "sin|social insurance"),
    _number(
        "DE_TAX_ID",
        "DeTaxIdRecognizer",
        r"\d{2} ?\d{3} ?\d{3} ?\d{3}",
        r"steuer-?id(?:entifikationsnummer|nr)?|steuerliche|tax id|tin",
    ),
    _number(
        "DE_SOCIAL_SECURITY",
        "DeSocialSecurityRecognizer",
        r"\d{2} ?\d{6} ?[A-Z] ?\d{3}",
        r"sozialversicherung\w*|rentenversicherung\w*|svnr|sv-nummer",
    ),
    _number(
        "DE_ID_CARD",
        "DeIdCardRecognizer",
        r"[CFGHJKLMNPRTVWXYZ0-9]{9,10}",
        r"personalausweis\w*|ausweis\w*|id card",
    ),
    _number("ZA_ID_NUMBER", "ZaIdNumberRecognizer", r"\d{13}", "id number|identity number"),
    _number("TR_NATIONAL_ID", "TrNationalIdRecognizer", r"\d{11}", "kimlik|tckn|tc"),
    _number("KR_RRN", "KrRrnRecognizer", r"\d{6}-?\d{7}", "rrn|resident registration"),
    _number("TH_TNIN", "ThTninRecognizer", r"\d-?\d{4}-?\d{5}-?\d{2}-?\d", "thai|national id"),
)
ENTITIES = frozenset(number.entity_type for number in _NUMBERS)


def scan(text: str, wanted: frozenset[str]) -> Iterator[Finding]:
    """National numbers of the wanted types."""
    if not any(c.isdigit() for c in text):
        return
    for number in _NUMBERS:
        if number.entity_type in wanted and (number.proves_itself or number.announced.search(text)):
            yield from _scan_one(number, text)


def _scan_one(number: _Number, text: str) -> Iterator[Finding]:
    for match in number.candidate.finditer(text):
        start, end = match.span()
        announced = bool(number.announced.search(text[max(0, start - _REACH) : start]))
        if not (announced or number.proves_itself):
            continue
        for result in _validator(number.recognizer).analyze(text[start:end], [number.entity_type], None):
            if announced or result.score >= _CHECKED:
                first, last = start + result.start, start + result.end
                score = 0.8 if announced else 0.7
                yield Finding(number.entity_type, first, last, score, data_class_for(number.entity_type))


@lru_cache(maxsize=64)
def _validator(name: str) -> _Validator:
    from presidio_analyzer import predefined_recognizers as presidio

    made: _Validator = getattr(presidio, name)()
    return made
