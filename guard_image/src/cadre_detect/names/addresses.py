"""Postal addresses by their form, as English, German, French, Spanish and some other languages write them."""

from __future__ import annotations

from collections.abc import Iterator

from cadre_detect.entities import PII
from cadre_detect.findings import Finding
from cadre_detect.linear import compile_pattern
from cadre_detect.names.words import WORD, Kind, kind_of, known

_CAP = r"(?:\p{Lu}[\pL'\x{2019}.\-]*|\d{1,3}(?:st|nd|rd|th))"
_UNIT = r"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Fl|Room|Rm|#)\.? ?#?[\w\-]{1,6})?"
_ROADS = (
    "Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Court|Ct|Boulevard|Blvd|Place|Pl|Square|Sq|Terrace|Ter|Way"
    "|Circle|Cir|Parkway|Pkwy|Highway|Hwy|Trail|Trl|Crescent|Close|Gardens|Grove|Row|Mews|Hill|Alley|Plaza|Loop"
)
_PREFIXED = (
    "rue|avenue|boulevard|bd|place|chemin|allée|impasse|quai|cours|route|square|Rue|Avenue|Boulevard|Place"
)
_SUFFIXED = (
    "straße|strasse|str\\.|weg|allee|gasse|platz|damm|ufer|chaussee|steig|straat|laan|gracht|plein|singel"
    "|gatan|vägen|veien|tie|katu|utca"
)
_SOUTHERN = (
    r"Calle|C/|Avenida|Avda\.?|Av\.|Plaza|Paseo|Carrer|Camino|Ronda|Via|Viale|Piazza|Corso|Rua|Travessa|Largo"
)
_OF = r"(?:(?:de|du|des|del|della|la|las|los|le|les|dos|da|do) |d['\x{2019}]|l['\x{2019}])*"
_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH"
    "|OK|OR|PA|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC|AB|BC|MB|NB|NL|NS|ON|PE|QC|SK|NSW|VIC|QLD|TAS"
)
_TOWN = (
    r"\p{Lu}[\pL'\x{2019}.\-]*(?:[ \-](?:\p{Lu}[\pL'\x{2019}.\-]*|am|an|der|de|la|sur|upon|del|do|en)){0,3}"
)
_CODE = r"(?:[A-Z]{1,2}-)?\d{4,5}(?:-\d{3,4})?"
_POSTCODE = r"[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}"
_ANY_CODE = (
    r"(?:\d{3} \d{2}|\d{2}-\d{3}|\d{4,5}(?:-\d{3,4})?(?: [A-Z]{2})?|[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2})\b"
)
_STREETS = (
    rf"\b\d{{1,5}}[A-Za-z]?(?:[\-/]\d{{1,4}})? (?:{_CAP} ){{1,4}}(?:{_ROADS})\b\.?{_UNIT}",
    rf"\b\p{{Lu}}[\pL.\-]*(?: \p{{Lu}}[\pL\-]*)?(?:{_SUFFIXED}) ?\d{{1,4}} ?[a-z]?\b",
    r"\b\p{Lu}[\pL\-]*[ \-](?:Straße|Strasse|Str\.|Weg|Allee|Gasse|Platz|Ring|Damm|Ufer) \d{1,4} ?[a-z]?\b",
    rf"\b\d{{1,4}}(?: ?(?:bis|ter))?,? (?:{_PREFIXED}) {_OF}{_CAP}(?:[ \-]{_OF}{_CAP}){{0,4}}",
    rf"\b(?:{_SOUTHERN}) {_OF}{_CAP}(?: {_OF}{_CAP}){{0,4}},? (?:n\.?º ?)?\d{{1,4}}\b",
    # any other street: words, a number, and a town with its code behind a comma
    (
        rf"\b{_CAP}(?: (?:{_CAP}|de|del|la|di|da|do|der|van|und|y)){{0,4}}"
        rf" \d{{1,4}} ?[A-Za-z]?\.?, {_TOWN},? {_ANY_CODE}"
    ),
    r"(?i)\bP\.? ?O\.? box \d{1,6}\b",
)
_ROAD = compile_pattern(
    r"\b(?:\p{Lu}[\pL'\x{2019}.\-]*|\d{1,3}(?:st|nd|rd|th)) (?:\p{Lu}[\pL'\x{2019}\-]* )?"
    r"(?:Street|Avenue|Ave|Road|Rd|Lane|Boulevard|Blvd|Drive)\b"
    r"|\b(?:\p{Lu}[\pL\-]+(?:straße|strasse|allee|gasse)"
    r"|(?:Rue|Calle|Via|Rua|Avenida) \p{Lu}\pL+(?: \p{Lu}\pL+){0,2})\b"
)
_STREET = compile_pattern("|".join(f"(?:{street})" for street in _STREETS))
_TAIL = compile_pattern(
    rf"^,?\s{{1,3}}(?:{_CODE} )?({_TOWN})(?:,? (?:{_STATES})\b)?"
    rf"(?:,? (?:{_CODE}|{_POSTCODE}))?"
)
_TOWN_AND_STATE = compile_pattern(rf"\b({_TOWN}), (?:{_STATES})\b(?: \d{{5}}(?:-\d{{4}})?)?")
_ROAD_WORD = compile_pattern(rf"\b(?:{_ROADS}|{_PREFIXED}|{_SOUTHERN})(?:\b|$)|(?:{_SUFFIXED}) ?\d|(?i:box)")
_UK = compile_pattern(rf"\b{_POSTCODE}\b")
_SCORE = 0.75


def scan(text: str) -> Iterator[Finding]:
    """Streets with and without a number, the town behind one, and `Town, ST`."""
    for match in _ROAD.finditer(text):
        yield _location(*match.span())
    if not any(c.isdigit() for c in text):
        return
    for match in _STREET.finditer(text):
        start, end = match.span()
        if not _has_a_name(match.group()):
            continue
        yield _location(start, end)
        tail = _TAIL.search(text[end : end + 80])
        if tail:
            yield _location(end + tail.span(1)[0], end + tail.span()[1])
    for match in _TOWN_AND_STATE.finditer(text):
        yield _location(*match.span())
    for match in _UK.finditer(text):
        yield _location(*match.span())


def _has_a_name(street: str) -> bool:
    """Not every capitalised word is an ordinary one: `Humidity 40, Pressure 1013` is no address."""
    words = [word for word in WORD.findall(street) if word[0].isupper() and len(word) > 1]
    if any(kind_of(word, known(word)) not in (Kind.ORDINARY, Kind.STOP) for word in words):
        return True
    return not words or bool(_ROAD_WORD.search(street))


def _location(start: int, end: int) -> Finding:
    return Finding("LOCATION", start, end, _SCORE, PII)
