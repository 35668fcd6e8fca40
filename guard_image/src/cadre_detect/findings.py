"""Findings, and how overlapping ones become a set of disjoint spans without uncovering a character."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import attrgetter


@dataclass(frozen=True, slots=True)
class Finding:
    """An entity at text[start:end]; holds no text, so it can be cached and counted."""

    entity_type: str
    start: int
    end: int
    score: float
    data_class: str


_by_start = attrgetter("start")


def resolve(text: str, findings: Iterable[Finding]) -> list[Finding]:
    """Disjoint findings in order of position.

    The higher score keeps its span whole, then the longer one; what a loser covers beyond it stays a finding
    of the loser.
    """
    taken: list[Finding] = []
    for finding in sorted(set(findings), key=lambda f: (-f.score, f.start - f.end, f.start, f.entity_type)):
        for free in _free_pieces(finding, taken):
            piece = _trimmed(text, free) if free is not finding else free
            if any(c.isalnum() for c in text[piece.start : piece.end]):
                insort(taken, piece, key=_by_start)
    return taken


def _trimmed(text: str, piece: Finding) -> Finding:
    """What is left of a finding, without blanks at its ends."""
    value = text[piece.start : piece.end]
    start = piece.start + len(value) - len(value.lstrip())
    return replace(piece, start=start, end=start + len(value.strip()))


def _free_pieces(finding: Finding, taken: list[Finding]) -> list[Finding]:
    """The parts of a finding that no taken one covers; `taken` is disjoint and sorted."""
    index = bisect_left(taken, finding.start, key=_by_start)
    if index and taken[index - 1].end > finding.start:
        index -= 1
    pieces: list[Finding] = []
    position = finding.start
    while index < len(taken) and taken[index].start < finding.end:
        if position < taken[index].start:
            pieces.append(replace(finding, start=position, end=taken[index].start))
        position = max(position, taken[index].end)
        index += 1
    if position < finding.end:
        pieces.append(replace(finding, start=position))
    return pieces
