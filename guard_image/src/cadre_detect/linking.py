"""Which values mean the same person, as far as the values themselves and the chart say so.

Tokens of such values show a common part, so that a model sees that `Hanna Keller`, `KELLER, Hanna` and
`hanna.keller@acme.example` are one person. What a value links to never depends on the text around it: equal
values must have equal tokens everywhere. So a family name alone is linked only where the chart has one person
of that name.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from cadre_detect.words import PARTICLES

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019\-][^\W\d_]+)*")
_TITLES = frozenset(
    ("dr", "prof", "mr", "mrs", "ms", "mx", "sir", "herr", "frau", "mme", "mlle", "sr", "sra", "srta", "ing")
)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "æ": "ae", "å": "aa"})
_LINKED = frozenset({"PERSON", "EMAIL_ADDRESS"})


class People:
    """The persons of a chart by every spelling that names just one of them."""

    def __init__(self, persons: Iterable[tuple[str, str]]) -> None:
        """`persons`: (name, e-mail address or nothing) of each."""
        owners: defaultdict[str, set[str]] = defaultdict(set)
        for name, mail in sorted(set(persons)):
            link = f"person:{name}\x00{mail}"
            for spelling in _spellings(name, mail):
                owners[spelling].add(link)
        self._owner = {spelling: next(iter(own)) for spelling, own in owners.items() if len(own) == 1}

    def link(self, entity_type: str, value: str) -> str:
        """What a value is linked by, or nothing: it then stands for itself."""
        if entity_type not in _LINKED:
            return ""
        if entity_type == "EMAIL_ADDRESS":
            return self._owner.get(_mail(value)) or self._by_words(_words(value.partition("@")[0]))
        words = _words(value)
        return self._owner.get(" ".join(sorted(words))) or self._by_words(words)

    def _by_words(self, words: list[str]) -> str:
        if len(words) < 2 or any(len(word) < 2 for word in words):
            return ""
        name = " ".join(sorted(words))
        return self._owner.get(name) or f"name:{name}"


def _spellings(name: str, mail: str) -> Iterable[str]:
    words = _words(name)
    if len(words) > 1:
        yield " ".join(sorted(words))
        yield from (word for word in (words[0], words[-1]) if len(word) > 1)
        yield " ".join(sorted((words[0][0], words[-1])))
    if mail:
        yield _mail(mail)


def _mail(value: str) -> str:
    return "@" + unicodedata.normalize("NFC", value).casefold()


def _words(value: str) -> list[str]:
    """Folded words of a name, without titles and particles."""
    spelled = unicodedata.normalize("NFC", value).casefold().translate(_UMLAUTS).replace("_", " ")
    plain = "".join(c for c in unicodedata.normalize("NFKD", spelled) if not unicodedata.combining(c))
    return [word for word in _WORD.findall(plain) if word not in _TITLES and word not in PARTICLES]
