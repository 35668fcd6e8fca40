"""Which of a conversation's values a text can hold, answered without looking for each of them.

A value only counts where it stands as words of its own, so its words, and its neighbouring words, are words
of the text. Python's own hash of a word is keyed by the process: a set of hashes tells nobody the words.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

from cadre_detect import decode
from cadre_detect.terms import Form, Needle, fold

Entity = tuple[str, str]
"""(entity type, exact value)."""

_RUN = re.compile(r"[^\W_]+")


def spreads(entity: Entity, token_like: str) -> bool:
    """Whether a value is long and wordy enough to be looked for in other texts."""
    kind, value = entity
    return kind != token_like and len(value) >= 3 and any(c.isalnum() for c in value)


def needle_of(entity: Entity) -> Needle:
    """A value of one word is met exactly, so that a name like `Long` does not mask every `long`."""
    kind, value = entity
    return Needle(value, kind, 0.5, Form.EXACT if value.isalpha() else Form.ANY_CASE)


def words_of(text: str) -> set[int]:
    """Hashes of the words of a text and of every two neighbours, also where it is encoded."""
    found = set(_marks(text))

    def take(plain: str) -> tuple[()]:
        found.update(_marks(plain))
        return ()

    for _ in decode.scan(text, take):
        pass
    return found


def _marks(text: str) -> list[int]:
    runs = _RUN.findall(fold(text))
    return [*map(hash, runs), *map(hash, pairwise(runs))]


class NeedleIndex:
    """The values of one conversation in the order they came, each by what a text must hold to hold it."""

    def __init__(self) -> None:
        self._known: set[Entity] = set()
        self._needles: list[tuple[Needle, tuple[frozenset[int], ...]]] = []
        self._by_mark: defaultdict[int, list[int]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._needles)

    def __contains__(self, entity: object) -> bool:
        return entity in self._known

    def add(self, entities: Iterable[Entity], token_like: str) -> None:
        """More values; those that are there stay where they are."""
        for entity in entities:
            if entity in self._known:
                continue
            self._known.add(entity)
            if spreads(entity, token_like):
                self._place(needle_of(entity))

    def _place(self, needle: Needle) -> None:
        spellings = {unicodedata.normalize(form, needle.text) for form in ("NFC", "NFD")}
        marks = tuple(frozenset(_needed(spelling)) for spelling in sorted(spellings))
        for needed in marks:
            self._by_mark[min(needed)].append(len(self._needles))
        self._needles.append((needle, marks))

    def within(self, words: set[int]) -> list[Needle]:
        """All values that a text with these words may hold."""
        numbers = {n for mark in words & self._by_mark.keys() for n in self._by_mark[mark]}
        return [self._needles[n][0] for n in sorted(numbers) if self._may(n, words)]

    def since(self, number: int, words: set[int]) -> list[Needle]:
        """The same among those from `number` on."""
        return [self._needles[n][0] for n in range(number, len(self._needles)) if self._may(n, words)]

    def _may(self, number: int, words: set[int]) -> bool:
        return any(needed <= words for needed in self._needles[number][1])


def _needed(spelling: str) -> list[int]:
    """Neighbours alone where there are any: they are rarer than words."""
    runs = _RUN.findall(fold(spelling))
    return list(map(hash, pairwise(runs))) or list(map(hash, runs))
