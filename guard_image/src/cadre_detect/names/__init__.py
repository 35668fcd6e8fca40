"""People and places in running text, from lists, context and what a document says elsewhere.

A small statistical model misses a third of the names it has not seen. That a capitalised word is in no
dictionary, stands behind a title, above an address or in a field called `name`, or was half of a full name
two lines up, finds most of them at a tenth of the cost; the model is asked only where this leaves a doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from cadre_detect.entities import PII
from cadre_detect.findings import Finding
from cadre_detect.names import addresses
from cadre_detect.names.coreference import mentions, raised
from cadre_detect.names.judge import THRESHOLD, Candidate, candidates
from cadre_detect.names.languages import guess

Ask = Callable[[str, Sequence[tuple[int, int]], str], Sequence[Finding]]
"""Opinions of a language model about text[start:end] of some lines in a language."""
_DOUBT = -1.0
_OPINION = {"PERSON": (1.6, 0.0), "LOCATION": (0.0, 1.6), "ORGANIZATION": (-0.8, -0.8)}
_SCORES = {"PERSON": 0.7, "LOCATION": 0.6, "ORGANIZATION": 0.5}


def scan(text: str, wanted: frozenset[str], ask: Ask | None = None) -> Iterator[Finding]:
    """Names found; `ask` settles what lists and context leave open."""
    language = guess(text)
    found = raised(text, list(candidates(text, language)))
    if ask is not None:
        advised = _advised(text, found, language, ask)
        found = raised(text, advised) if advised is not found else found
    for each in found:
        yield from _finding(each, wanted)
    if "LOCATION" in wanted:
        yield from addresses.scan(text)
    if "PERSON" in wanted:
        yield from (Finding("PERSON", start, end, 0.6, PII) for start, end in mentions(text, found))


def _lines_in_doubt(text: str, found: list[Candidate]) -> list[tuple[int, int]]:
    return sorted({_line(text, each) for each in found if _in_doubt(each)})


def _advised(text: str, found: list[Candidate], language: str, ask: Ask) -> list[Candidate]:
    lines = _lines_in_doubt(text, found)
    if not lines:
        return found
    opinions = ask(text, lines, language)
    return [_weighed(each, opinions) if _in_doubt(each) else each for each in found]


def _in_doubt(each: Candidate) -> bool:
    return _DOUBT <= max(each.person, each.place) < THRESHOLD


def _line(text: str, each: Candidate) -> tuple[int, int]:
    end = text.find("\n", each.end)
    return text.rfind("\n", 0, each.start) + 1, end if end >= 0 else len(text)


def _weighed(each: Candidate, opinions: Sequence[Finding]) -> Candidate:
    for opinion in opinions:
        if opinion.start < each.end and each.start < opinion.end:
            person, place = _OPINION[opinion.entity_type]
            return replace(each, person=each.person + person, place=each.place + place)
    return each


def _finding(each: Candidate, wanted: frozenset[str]) -> Iterator[Finding]:
    if each.signs.company and "ORGANIZATION" in wanted:
        yield Finding("ORGANIZATION", each.start, each.end, _SCORES["ORGANIZATION"], PII)
    if max(each.person, each.place) < THRESHOLD:
        return
    kind = "PERSON" if each.person >= each.place else "LOCATION"
    if kind in wanted:
        yield Finding(kind, each.start, each.end, _SCORES[kind], PII)
