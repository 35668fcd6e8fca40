"""What a document says elsewhere: parts of names it has in full, names its addresses are made of, company in
lists, and names that chats write small.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from cadre_detect.lexicon import Flags, fold, look_up
from cadre_detect.names.judge import THRESHOLD, Candidate
from cadre_detect.names.vocabulary import GREETINGS
from cadre_detect.names.words import STOPS, WORD, Kind, glued

_CERTAIN, _LIKELY = 1.5, 1.0
_KNOWN = 3.0
_SHORTEST = 3
_LOCAL_PART = re.compile(r"([\w.+'\-]{3,64})@[\w\-]")
_JOINTS = frozenset((" and ", ", ", ", and ", " or ", " & ", "/", " und ", " et ", " y ", " e ", " en "))
_ANY_WORD = Flags.WORD | Flags.COMMON
_SMALL = re.compile(
    r"(?:(?:^|[.!?,]\s|\n)(?:hi|hey|hello|dear|thanks|thank you|hallo|hola|bonjour)"
    r"|\b(?:it's|its|i'm|i am|this is|my name is|name's|tell|ask|ping))"
    r",? ([^\W\d_]{3,}(?: [^\W\d_]{3,})?)",
    re.IGNORECASE,
)


def names_in_addresses(text: str) -> frozenset[str]:
    """Words that e-mail addresses of the text are made of; `jsmith` counts as `smith` too."""
    found: set[str] = set()
    for local in _LOCAL_PART.findall(text):
        for part in re.split(r"[._+\-\d]+", fold(local.replace(".", "_"))):
            found |= {part, part[1:]}
    return frozenset(part for part in found if len(part) > _SHORTEST)


def raised(text: str, found: Sequence[Candidate]) -> list[Candidate]:
    """The candidates, those raised that are parts of names seen elsewhere or stand in a list with one."""
    known = known_parts(found) | names_in_addresses(text)
    lifted = [_lift(each, known) for each in found]
    return [_in_company(text, before, each, after) for before, each, after in _neighbours(lifted)]


def known_parts(found: Iterable[Candidate]) -> frozenset[str]:
    """Single words of the names that are certain, without those that are ordinary words as well."""
    return frozenset(
        fold(word.text)
        for each in found
        if each.person >= (_CERTAIN if len(each.words) == 1 else _LIKELY) and each.person >= each.place
        for word in each.words
        if len(word.text) >= _SHORTEST and (word.kind is not Kind.EITHER or len(each.words) > 1)
    )


def _lift(each: Candidate, known: frozenset[str]) -> Candidate:
    words = [word for word in each.words if word.kind is not Kind.INITIAL]
    if words and all(fold(word.text) in known for word in words):
        return replace(each, person=max(each.person, THRESHOLD) + _KNOWN)
    return each


def _neighbours(found: list[Candidate]) -> Iterator[tuple[Candidate | None, Candidate, Candidate | None]]:
    padded = [None, *found, None]
    yield from zip(padded, found, padded[2:], strict=False)


def _in_company(text: str, before: Candidate | None, each: Candidate, after: Candidate | None) -> Candidate:
    """Joined by a comma or `and` to somebody certain."""
    if each.person >= THRESHOLD or each.signs.determined or each.place > each.person:
        return each
    for left, right in ((before, each), (each, after)):
        if left is None or right is None:
            continue
        other = left if right is each else right
        gap = text[left.end : right.start]
        if other.person >= _CERTAIN and gap in _JOINTS and each.words[0].kind is not Kind.PLACE:
            return replace(each, person=each.person + 1.5)
    return each


def mentions(text: str, found: Sequence[Candidate]) -> Iterator[tuple[int, int]]:
    """Names written small: known ones anywhere, others after a greeting or an introduction."""
    small = text.lower()
    known = frozenset(part for part in known_parts(found) if part in small and not look_up(part) & _ANY_WORD)
    for match in WORD.finditer(text) if known else ():
        word = match.group()
        if word[0].islower() and fold(word) in known and not glued(text, *match.span()):
            yield match.span()
    for match in _SMALL.finditer(text):
        yield from _small_names(match)


def _small_names(match: re.Match[str]) -> Iterator[tuple[int, int]]:
    position = match.start(1)
    for word in match.group(1).split(" "):
        flags = look_up(word)
        ordinary = bool(flags & (_ANY_WORD | Flags.FOREIGN)) or fold(word) in STOPS | GREETINGS
        if not word.islower() or ordinary:
            return
        yield position, position + len(word)
        position += len(word) + 1
