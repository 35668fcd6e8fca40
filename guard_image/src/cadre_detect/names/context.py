"""What stands around a possible name, in numbers: how much each sign speaks for a person, or for a place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cadre_detect.names import vocabulary as v
from cadre_detect.names.words import WORD

_REACH = 48
_WRAPPED = 50
_LABEL = re.compile(r"([^\W\d_][\w.\-]*)\)?[\"'*]{0,2}[ \t]*[:=][ \t]*[\"'*<(]{0,2}\Z")
_ADDRESS_AFTER = re.compile(r"[\"']?,?[ \t]*[<(][^\s<>()@]+@")
_TITLE = re.compile(r"(?<!\w)(\w+)(\.?) (?:\w\. )?\Z")
_SMALL_TITLES = frozenset(("mr", "mrs", "ms", "dr", "prof"))
_INTRODUCED = re.compile(
    r"\b(?:name is|name's|names are|calls?(?:ed)? (?:me|him|her|us)|named|nicknamed|known as|alias|a\.k\.a\."
    r"|i am|i'm"
    r"|je suis|je m'appelle|ich bin|ich heiße|soy|me llamo) \Z",
    re.IGNORECASE,
)
_TURN = re.compile(r"\s*(?:\[[^\]\n]{1,40}\]\s*|[>*\-•]\s+|\d{1,2}:\d\d\s+)?[<@(]?\Z")
_LEAD = re.compile(r"[\s>*\-•\"'“(\[#]*\Z")
_SENTENCE_END = re.compile(r"[.!?:;|…][\"'”)\]]*\s+[\"'“(\[]*\Z")
_AFTER_TURN = re.compile(r"\)?[>]?:(?:\s|\Z)|>\s")
_NUMBER_BEFORE = re.compile(r"(?:\A|[>|,:?]|\b(?:at|on|in))\s*\d{1,5}[A-Za-z]? \Z")
_NUMBER_AFTER = re.compile(r" \d{1,4}[A-Za-z]?, ?[A-Z\d]|,? \d{4,6}\b(?![\-. ]?\d)")
_FRENCH_TITLE = re.compile(r"(?<!\w)M(?:\.|me|lle|M\.) \Z")

TITLED, ADDRESSED, MENTIONED, LABELLED, WITH_ADDRESS, SIGNED, SPEAKING = 4.0, 3.0, 3.0, 3.0, 4.0, 3.0, 2.0
BEFORE_PERSON, AFTER_PERSON, POSSESSIVE, DETERMINED, COMPANY = 0.7, 1.2, 0.7, -2.5, -4.0
IN_PLACE, MOVING, NEAR_PLACE, NUMBERED = 1.8, 2.2, 1.2, 1.6


@dataclass(frozen=True, slots=True)
class Signs:
    """How much the surroundings speak for a person, for a place, for a company; and the word's position."""

    person: float
    place: float
    company: bool
    strong: bool
    """A sign that makes almost any word a name: a title, a greeting, a field that holds a name."""
    starts_sentence: bool
    determined: bool


def around(text: str, start: int, end: int) -> Signs:
    """Judge the surroundings of text[start:end]."""
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    before = text[max(line_start, start - _REACH) : start]
    if len(before) < _REACH // 2 and _wraps(text, line_start):
        before = text[max(0, start - _REACH) : start].replace("\n", " ")
    after = text[end : min(line_end, end + _REACH)]
    words = [word.lower() for word in WORD.findall(before)[-4:]]
    strong = _strong(before, after, words) or _signed(text, line_start, start, end, line_end)
    company = _first_word(after) in v.ORGANISATION_AFTER
    determined = bool(words) and words[-1] in v.DETERMINERS and before.endswith(" ")
    person = strong + _weak_person(before, after, words)
    person += (DETERMINED * (0.4 if " " in text[start:end] else 1.0) if determined else 0.0) + (
        COMPANY if company else 0.0
    )
    return Signs(
        person=person,
        place=_place(before, after, words),
        company=company,
        strong=strong > 0,
        starts_sentence=bool(_LEAD.fullmatch(before) or _SENTENCE_END.search(before)),
        determined=determined,
    )


def _wraps(text: str, line_start: int) -> bool:
    """Whether the line above goes on in this one."""
    above = text[text.rfind("\n", 0, max(0, line_start - 1)) + 1 : max(0, line_start - 1)]
    return len(above) >= _WRAPPED and above[-1] not in ".,:;!?>)]}"


def is_titled(text: str, start: int) -> bool:
    """Whether `Mr`, `Frau`, `Dr.` or the like stands before text[start]."""
    return _has_title(text[max(0, start - 16, text.rfind("\n", 0, start) + 1) : start])


def _has_title(before: str) -> bool:
    title = _TITLE.search(before)
    if title and title.group(1).lower() in v.TITLES:
        return title.group(1)[0].isupper() or (title.group(2) == "." and title.group(1) in _SMALL_TITLES)
    return bool(_FRENCH_TITLE.search(before))


def _strong(before: str, after: str, words: list[str]) -> float:
    if _has_title(before):
        return TITLED
    if _ADDRESS_AFTER.match(after):
        return WITH_ADDRESS
    if _greets(before, words):
        return ADDRESSED
    if _INTRODUCED.search(before):
        return SPEAKING
    if before.endswith("@") and not before[-2:-1].isalnum():
        return MENTIONED
    label = _LABEL.search(before)
    if label and label.group(1).lower() in v.LABELS:
        return LABELLED
    if _AFTER_TURN.match(after) and _TURN.fullmatch(before):
        return SPEAKING
    return 0.0


def _greets(before: str, words: list[str]) -> bool:
    if not words or words[-1] not in v.GREETINGS or not before.endswith((" ", ", ")):
        return False
    head = before.rstrip(" ,")[: -len(words[-1])].rstrip()
    return (
        not head
        or head[-1] in ".!?,;:>-\"'("
        or len(words) == 1
        or words[-2] in v.GREETINGS | {"good", "sehr"}
    )


def _signed(text: str, line_start: int, start: int, end: int, line_end: int) -> float:
    """A name alone on its line below a closing phrase, or alone with a comma above a letter."""
    if not _LEAD.fullmatch(text[line_start:start]):
        return 0.0
    rest = text[end:line_end].strip()
    if rest == "," and text[line_end : line_end + 2] == "\n\n":
        return SIGNED
    if rest.strip(".,"):
        return 0.0
    above = text[:line_start].rstrip().rsplit("\n", 1)[-1].strip("> \t").lower().rstrip(",.!~ ")
    return SIGNED if above.endswith(v.CLOSINGS) and len(above) < 60 else 0.0


def _weak_person(before: str, after: str, words: list[str]) -> float:
    total = 0.0
    if words and words[-1] in v.PERSON_BEFORE and before.endswith(" "):
        total += BEFORE_PERSON
    if after.startswith(" ") and _first_word(after) in v.PERSON_AFTER:
        total += AFTER_PERSON
    if after.startswith(("'s ", "\u2019s ", "' ")):
        total += POSSESSIVE
    return total


def _place(before: str, after: str, words: list[str]) -> float:
    total = 0.0
    label = _LABEL.search(before)
    if label and label.group(1).lower() in v.PLACE_LABELS:
        total += LABELLED
    elif words and before.endswith(" "):
        if words[-1] in v.PLACE_BEFORE:
            total += IN_PLACE
        elif words[-1] in ("to", "from", "of", "for") and any(word in v.MOTION for word in words[:-1]):
            total += MOVING
    if after.startswith(" ") and _first_word(after) in v.PLACE_AFTER:
        total += NEAR_PLACE
    if _NUMBER_BEFORE.search(before) or _NUMBER_AFTER.match(after):
        total += NUMBERED
    return total


def _first_word(after: str) -> str:
    match = WORD.match(after.lstrip(" &"))
    return match.group().lower() if match else ""
