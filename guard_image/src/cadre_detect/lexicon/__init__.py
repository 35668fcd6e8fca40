"""What single words are: names of many countries, places, ordinary words of several languages.

A capitalised word says little by itself; that it is in no dictionary, or in a list of names, says much. The
lists are held as sorted 32-bit digests beside one byte of flags, because the strings themselves would take
forty times the memory of a guard's share. Two words share a digest once in ten thousand look-ups.
"""

from __future__ import annotations

import sys
import unicodedata
from array import array
from bisect import bisect_left
from enum import IntFlag
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from zlib import crc32

from cadre_detect.errors import DetectionError

FILE = "lexicon.bin"
MAGIC = b"cadre-lexicon-1\n"
HELD_OUT_BELOW = 13
"""Of 256 hash buckets, how many are kept out of the names and places, so that tests have unknown ones."""


class Flags(IntFlag):
    """What is known of a word."""

    NONE = 0
    GIVEN = 1
    FAMILY = 2
    WORD = 4
    """An ordinary English word."""
    FOREIGN = 8
    """An ordinary word of German, French, Spanish, Italian, Portuguese or Dutch."""
    PLACE = 16
    COMMON = 32
    """Among the most used words of English, or (without WORD) of the other languages."""
    FREQUENT = 64
    """A given or family name that many bear."""


_ALL_FLAGS = tuple(Flags(value) for value in range(128))


def fold(word: str) -> str:
    """Lower case without accents, apostrophes or full stops: the form under which words are listed."""
    if word.isascii():
        return word.lower().replace("'", "").replace(".", "")
    plain = unicodedata.normalize("NFKD", word.replace("ß", "ss").replace("ø", "o").replace("ł", "l").lower())
    return "".join(c for c in plain if not unicodedata.combining(c) and c not in "'\u2019.")


def held_out(folded: str) -> bool:
    """Whether a name or place is left out of the lists on purpose."""
    return sha256(folded.encode()).digest()[0] < HELD_OUT_BELOW


def look_up(word: str) -> Flags:
    """What is known of a word in any spelling of its case and accents.

    Nothing is remembered of the words asked for: they may be somebody's name.
    """
    keys, flags = _lists()
    key = crc32(fold(word).encode())
    index = bisect_left(keys, key)
    return _ALL_FLAGS[flags[index]] if index < len(keys) and keys[index] == key else Flags.NONE


@lru_cache(maxsize=1)
def _lists() -> tuple[array[int], bytes]:
    raw = files(__name__).joinpath(FILE).read_bytes()
    if not raw.startswith(MAGIC):
        raise DetectionError("LexiconInvalid", f"{FILE} is not a lexicon of this version")
    body = raw[len(MAGIC) :]
    keys = array("I")
    keys.frombytes(body[: len(body) // 5 * 4])
    if sys.byteorder == "big":
        keys.byteswap()
    return keys, body[len(body) // 5 * 4 :]
