"""Literal terms at Aho-Corasick speed: the chart's people and addresses, deny lists, values already seen.

A company of ten thousand people is a hundred thousand spellings; one automaton finds them all in one pass.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

import ahocorasick_rs

from cadre_detect.config import Term
from cadre_detect.entities import data_class_for
from cadre_detect.findings import Finding
from cadre_detect.words import ORDINARY_WORDS, PARTICLES


class Form(Enum):
    """How exactly a needle's text must be met."""

    ANY_CASE = 1
    CAPITALISED = 2
    EXACT = 3


@dataclass(frozen=True, slots=True)
class Needle:
    """One literal to look for."""

    text: str
    entity_type: str
    score: float = 1.0
    form: Form = Form.ANY_CASE


class TermScanner:
    """Finds needles that stand as words of their own (letters and digits do not continue them)."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        unique = dict.fromkeys(spelling for needle in needles for spelling in _spellings(needle))
        self._needles = tuple(needle for needle in unique if needle.text.strip())
        folded = [fold(needle.text) for needle in self._needles]
        self._automaton = ahocorasick_rs.AhoCorasick(folded, matchkind=ahocorasick_rs.MatchKind.Standard)

    def scan(self, text: str) -> list[Finding]:
        """Every occurrence, overlapping ones included."""
        if not self._needles:
            return []
        hits = self._automaton.find_matches_as_indexes(fold(text), overlapping=True)
        found = ((self._needles[index], start, end) for index, start, end in hits)
        return [
            Finding(needle.entity_type, start, end, needle.score, data_class_for(needle.entity_type))
            for needle, start, end in found
            if _stands_alone(text, start, end) and _has_form(needle, text[start:end])
        ]


def fold(text: str) -> str:
    """Lower case with every kind of white space as a blank, character for character (offsets stay true)."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return re.sub(r"\s", " ", lowered)


def _stands_alone(text: str, start: int, end: int) -> bool:
    before = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
    after = end < len(text) and text[end].isalnum() and text[end - 1].isalnum()
    return not before and not after


def _has_form(needle: Needle, found: str) -> bool:
    match needle.form:
        case Form.ANY_CASE:
            return True
        case Form.CAPITALISED:
            return found[0].isupper()
        case Form.EXACT:
            return found == needle.text


def _spellings(needle: Needle) -> Iterator[Needle]:
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, needle.text)
        yield Needle(text, needle.entity_type, needle.score, needle.form)


def whole_needles(terms: Iterable[Term]) -> Iterator[Needle]:
    """The terms as written, and a person's name in the orders and joints it is commonly written with."""
    for term in terms:
        yield Needle(term.text, term.entity_type)
        if term.entity_type == "PERSON":
            yield from _joined_names(term.text.split())


def _joined_names(words: list[str]) -> Iterator[Needle]:
    if len(words) < 2:
        return
    first, last = words[0], words[-1]
    yield Needle(f"{last}, {first}", "PERSON")
    yield Needle(f"{last} {first}", "PERSON")
    if len(first.strip(".")) > 1:
        yield Needle(f"{first[0]}. {last}", "PERSON")
        yield Needle(f"{first[0]} {last}", "PERSON", 0.9, Form.EXACT)
        yield Needle(f"{first} {last}", "PERSON")
        for joint in (".", "_", "-", "+", ""):
            yield Needle(f"{first}{joint}{last}", "PERSON", 0.95)


def part_needles(terms: Iterable[Term]) -> Iterator[Needle]:
    """Family and given names alone, where capitalised; given names that are ordinary words are left out."""
    for term in terms:
        words = [word.strip(".,") for word in term.text.split()] if term.entity_type == "PERSON" else []
        names = [word for word in words if len(word) > 1 and word.lower() not in PARTICLES]
        if len(words) < 2:
            continue
        for word in names:
            if word == words[-1] or (len(word) > 2 and word.lower() not in ORDINARY_WORDS):
                yield Needle(word, "PERSON", 0.85, Form.CAPITALISED)
