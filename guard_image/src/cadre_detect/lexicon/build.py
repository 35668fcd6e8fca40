"""Makes `lexicon.bin` from the packages named in `sources.PACKAGES`.

Run `uv run --with faker==... --with ... python -m cadre_detect.lexicon.build`; the result is committed, so a
build of the product needs none of them. The file is the same on every run over the same versions.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from zlib import crc32

from cadre_detect.lexicon import FILE, MAGIC, Flags, fold, held_out, sources
from cadre_detect.words import ORDINARY_WORDS

COMMON_ENGLISH = 12_000
BASIC_ENGLISH = 3_000
"""Rank above which a word is taken for a name only if many bear it."""
ENGLISH_WORDS = 60_000
FOREIGN_WORDS = 40_000
COMMON_FOREIGN = 3_000
FREQUENT_GIVEN = 600
FREQUENT_FAMILY = 8_000
LARGE_TOWN = 200_000
_PARTS = re.compile(r"[ \-]")


def collect() -> dict[str, Flags]:
    """Every word with its flags, held-out names and places left out."""
    flags: dict[str, Flags] = defaultdict(lambda: Flags.NONE)
    _add_names(flags)
    _add_words(flags)
    _add_places(flags)
    return {word: flag for word, flag in _without_held_out(flags) if flag and word}


def _without_held_out(flags: dict[str, Flags]) -> Iterator[tuple[str, Flags]]:
    """Names and places in the held-out buckets become words nothing is known of."""
    naming = Flags.GIVEN | Flags.FAMILY | Flags.PLACE
    for word, flag in flags.items():
        yield word, flag & ~(naming | Flags.FREQUENT) if flag & naming and held_out(word) else flag


def _add_names(flags: dict[str, Flags]) -> None:
    for kind in ("male.first", "female.first"):
        _mark(flags, sources.census(kind), Flags.GIVEN, FREQUENT_GIVEN)
    _mark(flags, sources.census("all.last"), Flags.FAMILY, FREQUENT_FAMILY)
    for kind, flag in (("first", Flags.GIVEN), ("last", Flags.FAMILY)):
        for names in sources.names_by_locale(kind).values():
            _mark(flags, names, flag, 0)


def _mark(flags: dict[str, Flags], names: Iterable[str], flag: Flags, frequent: int) -> None:
    for rank, name in enumerate(names):
        for part in _PARTS.split(name):
            folded = fold(part)
            if len(folded) > 1:
                flags[folded] |= flag | (Flags.FREQUENT if rank < frequent else Flags.NONE)


def _add_words(flags: dict[str, Flags]) -> None:
    names, headwords = set(flags), sources.uncapitalised()
    for rank, word in enumerate(_ranked(sources.english())[:ENGLISH_WORDS]):
        if word not in names:
            flags[word] |= Flags.WORD | (Flags.COMMON if rank < COMMON_ENGLISH else Flags.NONE)
        elif rank < BASIC_ENGLISH and Flags.FREQUENT not in flags[word]:
            flags[word] = Flags.WORD | Flags.COMMON
        elif _is_word(word, flags[word], headwords):
            flags[word] |= Flags.WORD | (Flags.COMMON if rank < COMMON_ENGLISH // 2 else Flags.NONE)
    for language in sources.LANGUAGES:
        for rank, raw in enumerate(_ranked(sources.foreign(language))[:FOREIGN_WORDS]):
            word = fold(raw)
            if word.isalpha() and (rank < COMMON_FOREIGN // 3 or word not in names):
                flags[word] |= _foreign(flags[word], rank)


def _is_word(name: str, known: Flags, headwords: frozenset[str]) -> bool:
    """Whether a name is an ordinary word as well."""
    if Flags.GIVEN in known and Flags.FREQUENT in known:
        return name in ORDINARY_WORDS
    return any(stem in headwords for stem in (name, name.removesuffix("s"), name.removesuffix("ing")))


def _foreign(known: Flags, rank: int) -> Flags:
    if Flags.GIVEN in known:
        return Flags.NONE
    return Flags.FOREIGN | (Flags.COMMON if rank < COMMON_FOREIGN else Flags.NONE)


def _add_places(flags: dict[str, Flags]) -> None:
    for name in sources.countries():
        flags[fold(name)] |= Flags.PLACE
    for name, inhabitants in sources.cities().items():
        word = fold(name)
        taken = flags[word] & (Flags.GIVEN | Flags.FAMILY | Flags.WORD | Flags.FOREIGN)
        if not taken or inhabitants >= LARGE_TOWN:
            flags[word] |= Flags.PLACE


def _ranked(frequencies: dict[str, int]) -> list[str]:
    return sorted(frequencies, key=lambda word: (-frequencies[word], word))


def write(words: dict[str, Flags], path: Path) -> None:
    """Sorted digests, then one byte of flags for each; little-endian."""
    merged: dict[int, int] = defaultdict(int)
    for word, flag in words.items():
        merged[crc32(word.encode())] |= flag
    keys = array("I", sorted(merged))
    flags = bytes(merged[key] for key in keys)
    if sys.byteorder == "big":
        keys.byteswap()
    path.write_bytes(MAGIC + keys.tobytes() + flags)


if __name__ == "__main__":
    found = collect()
    write(found, Path(__file__).with_name(FILE))
    print(f"{len(found)} words")  # noqa: T201 - the whole interface
