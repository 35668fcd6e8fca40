"""Telephone numbers: rows of digits written as one dials them, judged by the numbering plans.

A number with `+` or in the groups of North America or France is one by its form; any other must be valid in
one of the configured regions (libphonenumber's data). Neither may be announced as something else, such as an
order.
No score threshold is needed to keep counters and times apart.
"""

from __future__ import annotations

from collections.abc import Iterator

import phonenumbers

from cadre_detect.checksums import digits_of
from cadre_detect.entities import PII
from cadre_detect.findings import Finding
from cadre_detect.linear import compile_pattern

_EXTENSION = r"(?:,?[ ]?(?:x|ext\.?|extension)[ ]?\d{1,6})?"
_NORTH_AMERICAN = compile_pattern(
    r"(?:\+?1[ .\-]?|001[ .\-]?)?(?:\([2-9]\d{2}\)[ .\-]?\d{3}[ .\-]?\d{4}|[2-9]\d{2}([ .\-])\d{3}[ .\-]\d{4}"
    r"|(?:\+1|001-|1-)[2-9]\d{2}[ .\-]?\d{3}[ .\-]?\d{4})" + _EXTENSION
)
_FRENCH = compile_pattern(r"\b0[1-9](?:(?: \d{2}){4}|(?:\.\d{2}){4}|(?:-\d{2}){4})\b")
_INTERNATIONAL = compile_pattern(
    r"(?:\+|\b00)[1-9]\d{0,2}[ .\-/]?(?:\(0?\d{0,4}\)[ .\-/]?)?\d(?:[ .\-/]?\d){5,12}" + _EXTENSION
)
_SPOKEN = compile_pattern(
    r"(?i)\b(?:phone|tel|telephone|telefon|téléphone|teléfono|telefono|mobile|mobil|móvil|handy|cell|fax|call|dial"
    r"|ring|text|reach|whatsapp|sms|rufnummer|portable|llame|numéro|unter|au|al|office|desk|home|landline)\b"
    r"[^\d+(\n]{0,24}([+(]?\d(?:[ ().\-/]{0,3}\d){6,14}" + _EXTENSION + ")"
)
_CANDIDATE = compile_pattern(r"[+(]?\d(?:[ \t().\-/]{0,3}\d){6,14}")
_OTHERWISE = compile_pattern(
    r"(?i)(?:\b(?:order|ticket|invoice|ref|reference|serial|part|claim|case|id|isbn|issn|version|build"
    r"|number of|rev|item"
    r"|tracking|contract|policy|account|acct|article|model|sku|po|rfc|iso|din|epoch|counter|drawing|dob|born|zip"
    r"|port|pid|row|rows|bytes|size|expiry|commit)(?: ?(?:no|nr|number|num|id))?[.:=]?\s*[\"']?|[#$€£%])\s*$"
)
_DATE = compile_pattern(
    r"^(?:(?:19|20)\d{2}[./\-]\d{1,2}[./\-]\d{1,2}|\d{1,2}[./\-]\d{1,2}[./\-](?:(?:19|20)\d{2}|\d{2}))(?:[^\d./\-]|$)"
)
_SERIAL = compile_pattern(r"^(?:(?:19|20)\d{2}[\-/.]\d+|\d{3}[\- .]\d{2}[\- .]\d{4})$")
"""Counted per year, or written as a social security number, issued or not."""
_TEN_DIGITS = frozenset(("US", "CA", "IN"))
"""Regions where people write ten digits in one go, without a leading zero."""
_FEWEST_DIGITS = 9
_REACH = 24


def scan(text: str, regions: tuple[str, ...]) -> Iterator[Finding]:
    """Telephone numbers; the score says how they were known: 0.65 announced, 0.6 by form, 0.4 by plan."""
    taken: list[tuple[int, int]] = []
    for start, end, score in _certain(text):
        taken.append((start, end))
        yield Finding("PHONE_NUMBER", start, end, score, PII)
    for match in _CANDIDATE.finditer(text):
        start, end = _whole_groups(text, *match.span())
        if not any(a < end and start < b for a, b in taken) and _dialled(text, start, end):
            bare = text[start:end].isdigit() and text[start] != "0"
            if _in_some_plan(text[start:end], tuple(set(regions) & _TEN_DIGITS) if bare else regions):
                yield Finding("PHONE_NUMBER", start, end, 0.4, PII)


def _certain(text: str) -> Iterator[tuple[int, int, float]]:
    for match in _SPOKEN.finditer(text):
        start, end = match.span(1)
        if 7 <= len(_dialled_digits(match.group(1))) <= 15 and not _is_other(text, start, end):
            yield start, end, 0.65
    for pattern in (_INTERNATIONAL, _NORTH_AMERICAN, _FRENCH):
        for match in pattern.finditer(text):
            start, end = _whole_groups(text, *match.span())
            announced = text[start] != "+" and _is_other(text, start, end)
            if _stands_alone(text, start, end) and _has_form(text[start:end]) and not announced:
                yield start, end, 0.6


def _whole_groups(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without a last group that goes on behind it: that one belongs to the next number."""
    if text[end : end + 1].isdigit():
        while end - 1 > start and text[end - 1].isdigit():
            end -= 1
        while end - 1 > start and not text[end - 1].isalnum():
            end -= 1
    return start, end


def _has_form(number: str) -> bool:
    """7 to 15 digits (ITU-T E.164); unseparated ones need 10, else they are signed numbers."""
    digits = _dialled_digits(number)
    if number[0] == "+":
        return 7 <= len(digits) <= 15 and (not number[1:].isdigit() or len(digits) >= 10)
    return 9 <= len(digits) <= 16 and (not number.isdigit() or number.startswith("00"))


def _dialled_digits(number: str) -> str:
    return digits_of(number.lower().split("x", 1)[0])


def _is_other(text: str, start: int, end: int) -> bool:
    """A date, a decimal, a serial number, or something announced as no telephone number."""
    number = text[start:end].strip("[( ")
    if _DATE.search(number) or _SERIAL.search(number) or _is_decimal(number):
        return True
    return bool(_OTHERWISE.search(text[max(0, start - _REACH) : start]))


def _stands_alone(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    if before.isalnum() or after.isalnum() or after == "%" or before in _JOINTS:
        return False
    return not (after in _JOINTS and text[end + 1 : end + 2].isdigit())


_JOINTS = frozenset(".-/_")


def _dialled(text: str, start: int, end: int) -> bool:
    """A number written as one dials it; bare digits are more often a counter or a time in seconds."""
    number = text[start:end].strip("[( ")
    if not _stands_alone(text, start, end) or _is_other(text, start, end):
        return False
    if len(digits_of(number)) < _FEWEST_DIGITS:
        return False
    if not number.isdigit():
        return not _is_grouped(number) and not (" " in number and "." in number)
    return number.startswith("0") or (len(number) == 10 and not number.startswith("1"))


def _is_decimal(number: str) -> bool:
    groups = number.split(".")
    return (
        len(groups) > 1
        and all(g.isdigit() for g in groups)
        and (len(groups) == 2 or all(len(g) == 3 for g in groups[1:]))
    )


def _is_grouped(number: str) -> bool:
    """Thousands set apart by blanks."""
    groups = number.split(" ")
    return len(groups) > 1 and number[0] != "0" and all(len(g) == 3 and g.isdigit() for g in groups[1:])


def _in_some_plan(number: str, regions: tuple[str, ...]) -> bool:
    return any(_is_valid(number, region) for region in regions)


def _is_valid(number: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False
