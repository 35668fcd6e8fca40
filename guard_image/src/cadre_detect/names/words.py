"""Capitalised words of a text with what is known of each, and the runs they form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from cadre_detect.lexicon import Flags, fold, look_up
from cadre_detect.names.languages import FUNCTION_WORDS
from cadre_detect.names.vocabulary import (
    CALENDAR,
    GREETINGS,
    HEADINGS,
    NATIONALITIES,
    PARTICLES,
    PRODUCTS,
    SLANG,
    TITLES,
)
from cadre_detect.words import NOT_NAMES, ORDINARY_WORDS

WORD = re.compile(r"[^\W\d_]+(?:['\u2019\-][^\W\d_]+)*")
CAPITALISED = re.compile(
    r"(?<![^\W_])[A-Z\u00c0-\u00de\u0100-\u024f\u1e00-\u1eff](?:[^\W\d_]|['\u2019\-](?=[^\W\d_]))*"
)
_GAP = re.compile(r" (?:(?:" + "|".join(sorted(PARTICLES)) + r")\.? ){0,2}\Z")
_BEFORE = frozenset("_/\\$#%&~^+`")
_AFTER = frozenset("_/\\=~^$#([`")
_JOINTS = frozenset(".-'\u2019")
_POSSESSIVE = re.compile(r"['\u2019]s\Z", re.IGNORECASE)
_CONTRACTION = re.compile(r"['\u2019](?:m|re|ve|ll|d|t|mon|am|all|em)\Z", re.IGNORECASE)
STOPS = (
    (CALENDAR | PRODUCTS | SLANG | HEADINGS | TITLES | GREETINGS | NATIONALITIES | NOT_NAMES)
    - PARTICLES
    - {"don", "moin"}
)
_SHORTEST_PART = 4


class Kind(Enum):
    """What a capitalised word can be."""

    NAME = "in a list of names and nothing else"
    EITHER = "a name that is an ordinary word or a place as well"
    UNKNOWN = "in no list"
    INITIAL = "one letter"
    PLACE = "a place and nothing else"
    ORDINARY = "an ordinary word"
    STOP = "known to be no name"


@dataclass(frozen=True, slots=True)
class Word:
    """A capitalised word at text[start:end], without a possessive."""

    text: str
    start: int
    end: int
    kind: Kind
    flags: Flags

    @property
    def shouted(self) -> bool:
        """Capitals throughout."""
        return len(self.text) > 1 and self.text.isupper()


def capitalised(text: str, *, foreign: bool = False) -> Iterator[Word]:
    """Capitalised words that are not part of an identifier, a path or an address.

    In a `foreign` text the ordinary words of other languages than English are ordinary.
    """
    for match in CAPITALISED.finditer(text):
        start, end = match.span()
        if not text[start].isupper() or glued(text, start, end):
            continue
        word = _POSSESSIVE.sub("", match.group())
        if not _is_camel_case(word):
            flags = known(word)
            pronoun = word == "I" and text[end : end + 1] != "."
            kind = Kind.STOP if pronoun else kind_of(word, flags, foreign=foreign)
            yield Word(word, start, start + len(word), kind, flags)


def known(word: str) -> Flags:
    """What the lexicon has of a word; of one with hyphens, what is true of each part."""
    if "-" not in word:
        return look_up(word)
    parts = [look_up(part) for part in word.split("-") if part]
    merged = parts[0]
    for flags in parts[1:]:
        merged &= flags
    return merged


def kind_of(word: str, flags: Flags, *, foreign: bool = False) -> Kind:
    """The kind of one capitalised word, without its surroundings."""
    folded = fold(word)
    if len(folded) == 1:
        return Kind.INITIAL
    if Flags.GIVEN in flags and (folded in PRODUCTS or (folded in CALENDAR and Flags.FREQUENT in flags)):
        return Kind.EITHER
    if word.lower() in FUNCTION_WORDS and (foreign or Flags.GIVEN not in flags):
        return Kind.STOP
    if folded in STOPS or word.lower() in STOPS or _CONTRACTION.search(word):
        return Kind.STOP
    is_name = bool(flags & (Flags.GIVEN | Flags.FAMILY))
    is_word = Flags.WORD in flags or folded in ORDINARY_WORDS or _is_foreign_word(flags, foreign)
    if is_name:
        return Kind.EITHER if is_word or Flags.PLACE in flags else Kind.NAME
    if Flags.PLACE in flags:
        return Kind.PLACE
    if is_word or any(part.islower() or len(part) < 2 for part in word.split("-")):
        return Kind.ORDINARY
    return Kind.EITHER if _is_compound(folded) else Kind.UNKNOWN


def _is_foreign_word(flags: Flags, foreign: bool) -> bool:
    return Flags.FOREIGN in flags and (foreign or (Flags.COMMON in flags and Flags.WORD not in flags))


def _is_compound(word: str) -> bool:
    """Two ordinary words written as one, such as `Chargeback`."""
    cuts = range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1)
    return any(_is_common(word[:cut]) and _is_common(word[cut:]) for cut in cuts)


def _is_common(word: str) -> bool:
    return look_up(word) & (Flags.WORD | Flags.COMMON) == Flags.WORD | Flags.COMMON


def joined(text: str, left: Word, right: Word) -> bool:
    """Whether two words follow each other inside one name: a blank, a particle, the point of an initial."""
    gap = text[left.end : right.start]
    if gap in (" ", "  "):
        return True
    if left.kind is Kind.INITIAL and gap in (". ", "."):
        return True
    return len(gap) < 14 and bool(_GAP.match(gap))


def glued(text: str, start: int, end: int) -> bool:
    """Whether the word is a part of an identifier, a path, an address, a number or a call."""
    before, after, beyond = text[start - 1 : start], text[end : end + 1], text[end + 1 : end + 2]
    if before.isdigit() or after.isdigit() or before in _BEFORE or after in _AFTER:
        return True
    if before in _JOINTS and text[start - 2 : start - 1].islower():
        return True
    if after in ("-", "@", ".", ":") and end - start > 1 and (beyond.isalnum() or beyond == after):
        return after != ":" or beyond == ":"
    return False


def _is_camel_case(word: str) -> bool:
    """`camelCase`, but not `McMinn`, `O'Neil` or `DeShawn`."""
    for part in re.split(r"['\u2019\-]", word):
        if part.isupper() or part.islower():
            continue
        inner = [i for i in range(1, len(part)) if part[i].isupper()]
        if len(inner) > 1 or (inner and not _begins_a_name(part, inner[0])):
            return True
    return False


def _begins_a_name(word: str, second_capital: int) -> bool:
    return second_capital == 2 or (second_capital == 1 and word[0] in "OÓD") or look_up(word) != Flags.NONE
