"""Whether a run of capitalised words names a person or a place: what it is made of and what surrounds it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cadre_detect.lexicon import Flags, fold, look_up
from cadre_detect.names.context import Signs, around, is_titled
from cadre_detect.names.vocabulary import (
    CALENDAR,
    HEADINGS,
    NATIONALITIES,
    ORGANISATION_AFTER,
    PLACE_AFTER,
    TITLES,
)
from cadre_detect.names.words import Kind, Word, capitalised, joined

THRESHOLD = 0.5
_NAMING = frozenset({Kind.NAME, Kind.EITHER, Kind.UNKNOWN, Kind.INITIAL, Kind.PLACE})
_LONGEST = 6
_AFTER_NAMES = CALENDAR | HEADINGS | NATIONALITIES | PLACE_AFTER | ORGANISATION_AFTER
_CODE = re.compile(
    r"^\s*(?:[+-]\s*)?(?:(?:async )?def |class \w|import \w|from [\w.]+ import|const |let |var "
    r"|return\b.*[;(\[]|public |private "
    r"|raise |SELECT |#include|@\w+\()|\(\);|=>|</|/>|\)\s*;\s*\Z|\{\s*\Z"
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Words that may be one name, and the verdict so far."""

    words: tuple[Word, ...]
    signs: Signs
    person: float
    place: float

    @property
    def start(self) -> int:
        """Where it begins."""
        return self.words[0].start

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.words[-1].end


def candidates(text: str, language: str) -> Iterator[Candidate]:
    """Every run of words that could be a name."""
    for run in _runs(text, foreign=language != "en"):
        heading = sum(word.kind in (Kind.ORDINARY, Kind.STOP) for word in run) >= 2
        for words in _naming(text, run):
            signs = around(text, words[0].start, words[-1].end)
            code = _in_code(text, words[0].start)
            person = _person(words) + signs.person - (1.5 if heading and not signs.strong else 0.0)
            person -= (1.5 if code else 0.0) + (1.5 if language == "de" and not signs.strong else 0.0)
            place = _place(text, words) + signs.place - (1.5 if signs.company or signs.strong else 0.0)
            yield Candidate(words, signs, person, place)


def _runs(text: str, *, foreign: bool) -> Iterator[list[Word]]:
    run: list[Word] = []
    for word in capitalised(text, foreign=foreign):
        if run and not joined(text, run[-1], word):
            yield run
            run = []
        run.append(word)
    if run:
        yield run


def _naming(text: str, run: Sequence[Word]) -> Iterator[tuple[Word, ...]]:
    """The stretches of a run without ordinary words, unless these follow a title."""
    stretch: list[Word] = []
    for word in [*run, None]:
        if word is not None and (_may_name(text, stretch, word)):
            stretch.append(word)
            continue
        if any(w.kind is not Kind.INITIAL for w in stretch) and len(stretch) <= _LONGEST:
            yield tuple(stretch)
        stretch = []


def _may_name(text: str, stretch: list[Word], word: Word) -> bool:
    if word.kind in _NAMING or _is_family(stretch, word):
        return True
    return fold(word.text) not in TITLES and is_titled(text, word.start)


def _is_family(stretch: list[Word], word: Word) -> bool:
    """An ordinary word or product right behind a given name, such as `Swift` in `Megan Swift`."""
    before = stretch[-1] if stretch else None
    if before is None or before.kind is not Kind.NAME or Flags.GIVEN not in before.flags:
        return False
    return Flags.FAMILY in word.flags and fold(word.text) not in _AFTER_NAMES


def _person(words: tuple[Word, ...]) -> float:
    score = _alone(words[0]) if len(words) == 1 else _together(words)
    if all(word.text.isupper() for word in words):
        score -= 3.0 if len(words) == 1 else 1.0
    return score


def _alone(word: Word) -> float:
    frequent = Flags.FREQUENT in word.flags
    if fold(word.text) in CALENDAR:
        return -2.0
    match word.kind:
        case Kind.NAME if Flags.GIVEN in word.flags:
            return 2.0
        case Kind.NAME:
            return 1.0 if frequent else 0.6
        case Kind.EITHER if Flags.GIVEN in word.flags and not word.flags & (Flags.WORD | Flags.FOREIGN):
            return 0.6
        case Kind.EITHER if Flags.COMMON not in word.flags:
            return 0.5 if Flags.GIVEN in word.flags else -0.5
        case Kind.EITHER:
            return -0.8 if Flags.GIVEN in word.flags and frequent else -1.8
        case Kind.UNKNOWN:
            return 0.5 if len(word.text) > 2 else -1.0
        case _:
            return -3.0


def _together(words: tuple[Word, ...]) -> float:
    kinds = [word.kind for word in words if word.kind is not Kind.STOP]
    if Kind.NAME in kinds:
        return 2.5
    if Kind.PLACE in kinds:
        return -0.5
    if Flags.GIVEN in words[0].flags or Kind.UNKNOWN in kinds:
        return 1.2
    return 0.6 if Kind.INITIAL in kinds else -1.2


def _place(text: str, words: tuple[Word, ...]) -> float:
    known = Flags.PLACE in look_up(text[words[0].start : words[-1].end])
    if known:
        return 2.0 if words[0].kind is Kind.PLACE or len(words) > 1 else 0.8
    if all(word.text.isupper() for word in words):
        return -2.0
    return -0.5 if words[0].kind is Kind.UNKNOWN else -1.5


def _in_code(text: str, start: int) -> bool:
    line_end = text.find("\n", start)
    return bool(_CODE.search(text[text.rfind("\n", 0, start) + 1 : line_end if line_end >= 0 else len(text)]))
